/** How an operator says where a request may go, with which secrets and under which TLS. */

/** Where a secret is kept: `env:NAME` or `file:/path`. Files are read at each use, so that a rotated secret is taken up. */
export type SecretRef = `env:${string}` | `file:${string}`;

export const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
export type Method = (typeof METHODS)[number];

/** How the tool gets access tokens: by client credentials (RFC 6749, section 4.4), which it sends to `tokenUrl` alone. */
export interface ClientCredentials {
  /** Where tokens are asked for. */
  readonly tokenUrl: string;
  /** As the authorization server knows the tool. */
  readonly clientId: string;
  /** Where the client's secret is kept. */
  readonly clientSecret: SecretRef;
  /** What is asked for, with spaces between. Default: nothing is, and the server decides. */
  readonly scope?: string;
  /** The parameter `audience`, for servers that want it. Default: it is not sent. */
  readonly audience?: string;
  /** How the client authenticates. Default `basic`. */
  readonly authentication?: 'basic' | 'post';
}

/** PEM texts by reference. `cert` and `key` go to the service itself only, never to another origin. */
export interface TlsOptions {
  /** The certificate that shows who the client is. Default: it shows none. */
  readonly cert?: SecretRef;
  /** The private key of `cert`. */
  readonly key?: SecretRef;
  /** Decrypts `key`, where that is encrypted. */
  readonly passphrase?: SecretRef;
  /** Trusted instead of the system's authorities. */
  readonly ca?: SecretRef;
}

export interface Allow {
  /** Other hosts (`files.example.com`, `10.1.2.3:8443`) that an answer to a GET may redirect to. Default none. */
  readonly hosts?: readonly string[];
  /** Whether 127.0.0.0/8 and ::1 may be connected to. Default false. */
  readonly loopback?: boolean;
  /** Networks that are not public and may be connected to: `10.2.0.0/16`. Link-local addresses never are. Default none. */
  readonly networks?: readonly string[];
  /** Whether `http:` may be spoken to hosts that are not loopback. Default false. */
  readonly plainHttp?: boolean;
}
