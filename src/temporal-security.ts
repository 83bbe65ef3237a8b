/** How a process and Temporal prove to each other who they are: TLS, a client certificate, an API key. By reference, and read when a connection is made. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { TLSConfig } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { CountersignError } from './action/errors.js';
import type { TemporalSecurity, TemporalSettings, TemporalTls, Variable } from './environment.js';

/** What both of Temporal's kinds of connections take. */
export interface ConnectionSecurity {
  /** Never absent: the SDK would choose for itself. */
  readonly tls: TLSConfig | false;
  readonly apiKey?: string;
}

/** Temporal Cloud's endpoints, by namespace and by region. It answers no connection without TLS, and nobody who proves nothing. */
const CLOUD = /\.(tmprl\.cloud|api\.temporal\.io):\d+$/i;

/**
 * Reads what the settings refer to.
 *
 * @throws CountersignError CONFIG_INVALID: something is given by halves, contradicts another setting, or cannot be read
 */
export async function readSecurity(
  settings: Pick<TemporalSettings, 'address'> & TemporalSecurity,
): Promise<ConnectionSecurity> {
  const { address, apiKey } = settings;
  const tls = tlsOf(settings);
  if (CLOUD.test(address) && apiKey === undefined && (tls === false || tls.certFile === undefined)) {
    throw invalid(
      'TEMPORAL_API_KEY',
      'an API key, or a client certificate and its key',
      'Temporal Cloud answers nobody who proves nothing.',
      'Set TEMPORAL_API_KEY_FILE, or TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH.',
    );
  }
  return {
    tls: tls === false ? false : await readTls(tls),
    ...(apiKey === undefined ? {} : { apiKey: await readApiKey(apiKey) }),
  };
}

/** A client certificate or an API key is never sent where nobody has proved to be Temporal. */
function tlsOf({ tls, apiKey }: TemporalSecurity): TemporalTls | false {
  if (tls === false && apiKey !== undefined) {
    throw invalid(
      'TEMPORAL_TLS',
      'true, or absent, beside an API key',
      'Without TLS, the API key for Temporal could be read by anybody on the way.',
      'Remove TEMPORAL_TLS, or the API key.',
    );
  }
  if (tls === undefined) return apiKey === undefined ? false : {};
  return tls === true ? {} : tls;
}

async function readTls({ caFile, certFile, keyFile, serverName }: TemporalTls): Promise<TLSConfig> {
  if ((certFile === undefined) !== (keyFile === undefined)) {
    const [given, missing] = certFile === undefined ? ['key', 'certificate'] : ['certificate', 'key'];
    throw invalid(
      certFile === undefined ? 'TEMPORAL_TLS_CLIENT_CERT_PATH' : 'TEMPORAL_TLS_CLIENT_KEY_PATH',
      `the PEM file of the client's ${missing}`,
      `A client ${given} for Temporal is given without its ${missing}.`,
      'Give both, or neither.',
    );
  }
  const [ca, cert, key] = await Promise.all([
    pem('TEMPORAL_TLS_SERVER_CA_CERT_PATH', caFile),
    pem('TEMPORAL_TLS_CLIENT_CERT_PATH', certFile),
    pem('TEMPORAL_TLS_CLIENT_KEY_PATH', keyFile),
  ]);
  if (ca !== undefined) checked('TEMPORAL_TLS_SERVER_CA_CERT_PATH', () => new X509Certificate(ca));
  if (cert !== undefined) checked('TEMPORAL_TLS_CLIENT_CERT_PATH', () => new X509Certificate(cert));
  // OpenSSL says so too where the key is another certificate's, and quotes nothing of it.
  if (cert !== undefined) checked('TEMPORAL_TLS_CLIENT_KEY_PATH', () => createSecureContext({ cert, key }));
  return {
    ...(ca === undefined ? {} : { serverRootCACertificate: ca }),
    ...(cert === undefined || key === undefined ? {} : { clientCertPair: { crt: cert, key } }),
    ...(serverName === undefined ? {} : { serverNameOverride: serverName }),
  };
}

async function pem(field: Variable, file: string | undefined): Promise<Buffer | undefined> {
  if (file === undefined) return undefined;
  try {
    return await readFile(file);
  } catch (error) {
    throw invalid(field, 'a PEM file that this process may read', `${file} cannot be read.`, undefined, error);
  }
}

function checked(field: Variable, look: () => unknown): void {
  try {
    look();
  } catch (error) {
    const what = field === 'TEMPORAL_TLS_CLIENT_KEY_PATH' ? "the certificate's private key" : 'a certificate';
    throw invalid(
      field,
      `${what} in PEM, without a passphrase`,
      `The file in ${field} cannot be used: ${(error as Error).message}.`,
      undefined,
      error,
    );
  }
}

async function readApiKey(ref: string): Promise<string> {
  const [, kind, name = ''] = /^(env|file):(.+)$/su.exec(ref) ?? [];
  const field = kind === 'file' ? 'TEMPORAL_API_KEY_FILE' : 'TEMPORAL_API_KEY';
  const text = kind === 'file' ? await readFile(name, 'utf8').catch(() => undefined) : process.env[name];
  const key = kind === undefined ? undefined : text?.trim();
  // It goes into a header.
  if (key !== undefined && /^[\x21-\x7e]+$/.test(key)) return key;
  const where = kind === undefined ? 'apiKey' : name;
  throw invalid(
    field,
    'a key of printable ASCII characters, at env:NAME or file:/path',
    `There is no API key for Temporal at ${where}.`,
  );
}

function invalid(field: string, expected: string, message: string, fix?: string, cause?: unknown): CountersignError {
  return new CountersignError('CONFIG_INVALID', message, {
    field,
    expected,
    fix: fix ?? `Correct ${field}, or the file that it names and its permissions.`,
    ...(cause === undefined ? {} : { cause }),
  });
}
