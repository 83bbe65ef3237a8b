/** A channel that sends e-mail over SMTP. */
import { configInvalid } from '../action/errors-config.js';
import { isThisMachine } from '../http/addresses.js';
import { createTransport } from 'nodemailer';
import { Secrets } from '../http/secrets.js';
import { undelivered, type Channel, type Delivered, type DeliveryContext } from './channel.js';
import { alertPage, htmlOf, subjectOf, textOf, type EmailMessage } from './email-page.js';
import { checkedName, checkedTimeout, type SecretRef } from './options.js';
import { oneLine } from './one-line.js';

/** From whom and to whom messages go, and through which mail server. */
export interface EmailOptions {
  /** The name, unique among the channels. Default `email`. */
  readonly name?: string;
  /** The sender: `countersign@example.com`. */
  readonly from: string;
  /** The recipients. They all get the same message. */
  readonly to: readonly string[];
  /** The name or address of the mail server. */
  readonly host: string;
  /** The port. Default 587, or 465 for implicit TLS. */
  readonly port?: number;
  /**
   * `starttls`: nothing is sent before the connection is encrypted, and nothing at all to a server that cannot encrypt. `implicit`: the
   * connection is encrypted from its first byte. `none`: no encryption, allowed only to this machine. Default `starttls`, or `implicit` on
   * port 465.
   */
  readonly tls?: 'starttls' | 'implicit' | 'none';
  /** Certificate authorities, in PEM, trusted instead of the system's. */
  readonly ca?: SecretRef;
  /** The account at the mail server. Default: it sends without logging in. */
  readonly auth?: {
    /** The name of the account. */
    readonly user: string;
    /** Where its password is kept. */
    readonly password: SecretRef;
  };
  /** The timeout of each network operation of an attempt. Milliseconds from 1 to 60,000, default 10,000. */
  readonly timeoutMs?: number;
}

/** Plain addresses only, without any character that has a meaning in a header or an SMTP command. */
const ADDRESS = /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/;

/**
 * A channel that sends e-mail. A message counts as delivered when the server accepted it. A permanent refusal (5xx) ends the delivery;
 * after any other failure it is tried again, with the same Message-ID.
 *
 * @throws CountersignError CONFIG_INVALID
 */
export function email(options: EmailOptions): Channel {
  const name = checkedName(options.name ?? 'email', 'email.name');
  const { from, to, host, port, auth, ca } = options;
  const tls = options.tls ?? (port === 465 ? 'implicit' : 'starttls');
  const timeoutMs = checkedTimeout(options.timeoutMs, `${name}.timeoutMs`);
  if (!isAddress(from)) throw configInvalid(`${name}.from`, 'an address: countersign@example.com');
  if (!Array.isArray(to) || to.length === 0 || !to.every(isAddress))
    throw configInvalid(`${name}.to`, 'a list of addresses');
  if (typeof host !== 'string' || host === '') throw configInvalid(`${name}.host`, 'the name of a mail server');
  if (!['starttls', 'implicit', 'none'].includes(tls)) throw configInvalid(`${name}.tls`, 'starttls, implicit or none');
  if (tls === 'none' && !isThisMachine(host))
    throw configInvalid(`${name}.tls`, 'starttls or implicit: the server is not this machine');
  if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65_535))
    throw configInvalid(`${name}.port`, 'a port');
  const secrets = new Secrets(`The channel ${name}`);
  if (auth !== undefined) secrets.check(auth.password, `${name}.auth.password`);
  if (ca !== undefined) secrets.check(ca, `${name}.ca`);

  const transportFor = async () =>
    createTransport({
      host,
      port: port ?? (tls === 'implicit' ? 465 : 587),
      secure: tls === 'implicit',
      requireTLS: tls === 'starttls',
      ignoreTLS: tls === 'none',
      tls: { minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca: await secrets.read(ca) }) },
      ...(auth === undefined ? {} : { auth: { user: auth.user, pass: await secrets.read(auth.password) } }),
      connectionTimeout: timeoutMs,
      greetingTimeout: timeoutMs,
      socketTimeout: timeoutMs,
      dnsTimeout: timeoutMs,
      disableFileAccess: true,
      disableUrlAccess: true,
    });

  const send = async (
    message: EmailMessage,
    { deliveryId, signal }: Pick<DeliveryContext, 'deliveryId' | 'signal'>,
  ): Promise<Delivered> => {
    const transport = await transportFor();
    const sending = transport.sendMail({
      from,
      to: [...to],
      ...message,
      messageId: `<${deliveryId}@${from.slice(from.lastIndexOf('@') + 1)}>`,
      // Keeps out-of-office replies away (RFC 3834).
      headers: { 'Auto-Submitted': 'auto-generated' },
    });
    try {
      const { response, accepted, rejected } = await orAborted(sending, signal);
      const refused =
        rejected.length === 0 ? '' : `; refused for ${rejected.length} of ${accepted.length + rejected.length}`;
      return { detail: `${oneLine(secrets.strike(response), 300)}${refused}` };
    } catch (thrown) {
      throw failure(thrown, secrets);
    } finally {
      transport.close();
    }
  };

  return {
    name,
    async deliver(notice, delivery) {
      return send({ subject: subjectOf(notice), text: textOf(notice), html: await htmlOf(notice) }, delivery);
    },
    alert: async (alert, delivery) => send(await alertPage(alert), delivery),
  };
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 254 && ADDRESS.test(value);
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new Error('it was not waited for any longer'));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** The fields that nodemailer adds to its errors. */
interface SmtpError extends NodeJS.ErrnoException {
  readonly responseCode?: number;
  readonly response?: string;
}

function failure(thrown: unknown, secrets: Secrets): Error {
  const { code, responseCode, response, message } = thrown as SmtpError;
  const serverMessage = oneLine(secrets.strike(response ?? message), 300);
  // A missing STARTTLS may be the work of an attacker on the way, so it is not final.
  const final = responseCode !== undefined && responseCode >= 500 && code !== 'ETLS';
  return undelivered(`SMTP: ${serverMessage}`, { retryable: !final });
}
