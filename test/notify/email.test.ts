/** Tests the e-mail channel against a real SMTP server, and reads what it sent with a real parser. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { SMTPServerOptions } from 'smtp-server';
import { email, type EmailOptions } from '../../src/notify/index.js';
import { alertOfLedger } from '../../src/notify/alarm.js';
import { alertNotice, delivery, notice, untrusted, openMail, TLS, type MailServer } from './support.js';

const PASSWORD = 'a-pass-word';
const servers: MailServer[] = [];
let server: MailServer;

beforeAll(async () => {
  process.env['MAIL_PASSWORD'] = PASSWORD;
  server = await openMail();
});
afterEach(async () => {
  server.mails.length = 0;
  await Promise.all(servers.splice(0).map((one) => one.stop()));
});
afterAll(() => server.stop());

async function serving(options: SMTPServerOptions): Promise<MailServer> {
  const opened = await openMail(options);
  servers.push(opened);
  return opened;
}

const channel = (more: Partial<EmailOptions> = {}) =>
  email({
    from: 'countersign@example.com',
    to: ['dba@example.com', 'lead@example.com'],
    host: '127.0.0.1',
    port: server.port,
    ca: `file:${TLS}ca.pem`,
    timeoutMs: 20_000,
    ...more,
  });

/** A server that refuses messages with the code, the given number of times. */
function refusing(code: number, text: string, times = Infinity): SMTPServerOptions {
  let left = times;
  return {
    onMailFrom: (_address, _session, done) => {
      if (left-- <= 0) return done();
      return done(Object.assign(new Error(text), { responseCode: code }));
    },
  };
}

describe('a mail', () => {
  test('goes encrypted to all recipients, as text and as HTML, and the server’s response is recorded', async () => {
    const { detail } = await channel().deliver(notice(), delivery());
    expect(detail).toBe('250 queued as 4Zx1');
    const [mail] = server.mails;
    expect(mail).toMatchObject({
      secure: true,
      recipients: ['dba@example.com', 'lead@example.com'],
      subject: '[Countersign] Approval wanted in production: update, 3 rows of prices',
      messageId: '<ntc_0123@example.com>',
    });
    for (const body of [mail?.text, mail?.html]) {
      expect(body).toContain('https://approvals.example.com/actions/price-1');
      expect(body).toContain('The season is over.');
      expect(body).toContain('own words');
      expect(body).toContain('1 × dba or lead: Production needs a second pair of eyes.');
    }
    expect(mail?.headers).toContainEqual(expect.objectContaining({ key: 'auto-submitted', value: 'auto-generated' }));
  });

  test('that is sent again has the same Message-ID', async () => {
    await channel().deliver(notice(), delivery());
    await channel().deliver(notice(), delivery());
    expect(server.mails.map(({ messageId }) => messageId)).toEqual([
      '<ntc_0123@example.com>',
      '<ntc_0123@example.com>',
    ]);
  });

  test('says how the action ended', async () => {
    const decisions = [{ by: 'ann', verdict: 'deny' as const }];
    await channel().deliver(notice({ kind: 'ended', status: 'denied', decisions }), delivery());
    expect(server.mails[0]?.subject).toContain('Ended: denied');
    expect(server.mails[0]?.text).toContain('So far: ann denied');
  });

  test('goes over TLS from the first byte on', async () => {
    const { port, mails } = await serving({ secure: true });
    await channel({ port, tls: 'implicit' }).deliver(notice(), delivery());
    expect(mails[0]?.secure).toBe(true);
  });

  test('goes with a password, which the server checks', async () => {
    const { port, mails } = await serving({
      authOptional: false,
      onAuth: ({ password }, _session, done) =>
        password === PASSWORD ? done(null, { user: 'me' }) : done(new Error(`no ${password ?? ''}`)),
    });
    await channel({ port, auth: { user: 'me', password: 'env:MAIL_PASSWORD' } }).deliver(notice(), delivery());
    expect(mails).toHaveLength(1);
  });
});

describe('hostile texts', () => {
  const CRLF = 'x\r\nBcc: evil@example.com\r\n\r\n<b>body</b>';

  test('add no header, no recipient and no body', async () => {
    await channel().deliver(
      notice({ summary: CRLF, environment: CRLF, agent: CRLF, reasoning: CRLF, from: untrusted(CRLF) }),
      delivery(),
    );
    const [mail] = server.mails;
    expect(mail?.recipients).toEqual(['dba@example.com', 'lead@example.com']);
    expect(mail?.bcc).toBeUndefined();
    expect(mail?.headers.map(({ key }) => key)).not.toContain('bcc');
    expect(mail?.subject).not.toMatch(/[\r\n]/);
  });

  test('stay text in HTML', async () => {
    const markup = `<script>alert(1)</script><img src=x onerror=alert(1)>"'><a href="https://evil.example">Approve</a>`;
    await channel().deliver(
      notice({ summary: markup, reasoning: markup, agent: markup, from: untrusted(markup) }),
      delivery(),
    );
    const html = server.mails[0]?.html ?? '';
    expect(html).not.toMatch(/<script|<img|evil\.example">/);
    expect(html.match(/<a /g)).toHaveLength(1);
    expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
  });
});

describe('a server', () => {
  test('that cannot encrypt gets nothing, and the delivery is tried again', async () => {
    const { port, mails } = await serving({ disabledCommands: ['STARTTLS', 'AUTH'] });
    const refused = channel({ port }).deliver(notice(), delivery());
    await expect(refused).rejects.toMatchObject({ code: 'DELIVERY_FAILED', retryable: true });
    expect(mails).toEqual([]);
  });

  test('whose certificate is not trusted gets nothing', async () => {
    const { ca: _ca, ...others } = { ca: undefined };
    const untrusting = email({
      from: 'a@example.com',
      to: ['b@example.com'],
      host: '127.0.0.1',
      port: server.port,
      timeoutMs: 20_000,
      ...others,
    });
    await expect(untrusting.deliver(notice(), delivery())).rejects.toMatchObject({
      code: 'DELIVERY_FAILED',
      retryable: true,
    });
    expect(server.mails).toEqual([]);
  });

  test('that refuses for now (4xx) is tried again, and then accepts the mail', async () => {
    const { port, mails } = await serving(refusing(451, '4.7.1 greylisted, come again', 1));
    const refused = channel({ port }).deliver(notice(), delivery());
    await expect(refused).rejects.toMatchObject({ retryable: true, message: expect.stringContaining('greylisted') });
    await channel({ port }).deliver(notice(), delivery());
    expect(mails).toHaveLength(1);
  });

  test('that refuses for good (5xx) is not tried again', async () => {
    const { port } = await serving(refusing(550, '5.7.1 not from you'));
    const refused = channel({ port }).deliver(notice(), delivery());
    await expect(refused).rejects.toMatchObject({
      retryable: false,
      message: expect.stringContaining('5.7.1 not from you'),
    });
  });

  test('that refuses one of two recipients delivers to the other, and the detail says so', async () => {
    const { port, mails } = await serving({
      onRcptTo: ({ address }, _session, done) =>
        address.startsWith('lead') ? done(Object.assign(new Error('no such user'), { responseCode: 550 })) : done(),
    });
    const { detail } = await channel({ port }).deliver(notice(), delivery());
    expect(detail).toBe('250 queued as 4Zx1; refused for 1 of 2');
    expect(mails[0]?.recipients).toEqual(['dba@example.com']);
  });

  test('that refuses the password: no error contains the password', async () => {
    const { port } = await serving({
      authOptional: false,
      onAuth: ({ password }, _session, done) => done(new Error(`wrong: ${password ?? ''}`)),
    });
    const attempt = channel({ port, auth: { user: 'me', password: 'env:MAIL_PASSWORD' } }).deliver(
      notice(),
      delivery(),
    );
    const failed = await attempt.catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 'DELIVERY_FAILED', retryable: false });
    expect(`${String(failed)} ${(failed as Error).stack} ${JSON.stringify(failed)}`).not.toContain(PASSWORD);
  });

  test('that is unreachable is tried again', async () => {
    const gone = await openMail();
    await gone.stop();
    await expect(channel({ port: gone.port }).deliver(notice(), delivery())).rejects.toMatchObject({ retryable: true });
  });
});

test.each([
  ['no recipient', { to: [] }],
  ['a recipient with a line break', { to: ['a@example.com\r\nBcc: b@example.com'] }],
  ['several in one', { to: ['a@example.com, b@example.com'] }],
  ['a sender with a name', { from: 'Countersign <c@example.com>' }],
  ['no encryption to another machine', { host: 'mail.example.com', tls: 'none' }],
  ['a password in the config itself', { auth: { user: 'me', password: PASSWORD as 'env:X' } }],
] as [string, Partial<EmailOptions>][])('%s is refused', (_name, options) => {
  expect(() => channel(options)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
});

test('what the radar found comes as a mail with a link, in which no name begins a header or markup', async () => {
  await channel().alert?.(alertNotice(), delivery());
  const [mail] = server.mails;
  expect(mail?.subject).toBe('[Countersign] Writes past Countersign: 1 on shop-db in production');
  for (const body of [mail?.text, mail?.html]) expect(body).toContain('https://approvals.example.com/radar');
  expect(mail?.text).toContain('- 2026-05-01 12:00 UTC');
  expect(mail?.text).toContain('public.orders: no action made it. By app (<!channel> Bcc: x).');
  expect(mail?.html).toContain('&lt;!channel&gt;');
});

test('a ledger that takes no receipt comes as a mail without a link', async () => {
  const before = server.mails.length;
  await channel().alert?.(
    alertOfLedger({ kind: 'ledger_broken', state: 'raised', tenant: 'acme', at: '2026-05-01T12:00:00.000Z' }),
    delivery(),
  );
  const mail = server.mails[before];
  expect(mail?.subject).toBe('[Countersign] The ledger cannot take a receipt');
  for (const body of [mail?.text, mail?.html]) {
    expect(body).toContain('It is about tenant acme. Nothing is admitted, and no effect is made.');
    expect(body).not.toContain('after logging in');
  }
});
