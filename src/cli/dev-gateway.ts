/** How the gateway of `countersign dev` is set up: on this machine alone, with a login that lets anybody be any of a few people. */
import { usualOrFreePort } from '../dev/free-port.js';
import type { DevPerson } from '../gateway/deps.js';
import { DEFAULT_HOST, DEFAULT_PORT } from '../config/gateway.js';
import type { CountersignConfig } from '../config/config.js';

/** One with the roles that the starter policies and a change of the policy ask for, two for a second pair of eyes, and one who may only look. */
const PEOPLE: readonly DevPerson[] = [
  { id: 'dana@example.com', name: 'Dana', tenant: 'acme', roles: ['dba', 'operator', 'policy-admin'] },
  { id: 'ann@example.com', name: 'Ann', tenant: 'acme', roles: ['lead', 'policy-admin'] },
  { id: 'bob@example.com', name: 'Bob', tenant: 'acme', roles: ['security'] },
  { id: 'vera@example.com', name: 'Vera', tenant: 'acme', roles: [] },
];

export interface DevGateway {
  /** For worker and gateway alike: passkeys are made and used on localhost. */
  readonly config: CountersignConfig;
  /** Absent where the config names an identity provider. */
  readonly devPeople?: readonly DevPerson[];
}

/** What the config says of the world outside is for `countersign gateway`. `port`: default the usual one, or one that is free. */
export async function devGateway(
  config: CountersignConfig,
  { port, temporalUiUrl }: { readonly port: number | undefined; readonly temporalUiUrl: string | undefined },
): Promise<DevGateway> {
  const { publicUrl: _publicUrl, host: _host, trustedProxies: _trustedProxies, ...kept } = config.gateway ?? {};
  const chosen = port ?? kept.port ?? (await usualOrFreePort(DEFAULT_PORT));
  return {
    config: {
      ...config,
      passkeys: { rpId: 'localhost', origins: [`http://localhost:${chosen}`] },
      gateway: {
        ...kept,
        host: DEFAULT_HOST,
        port: chosen,
        ...(temporalUiUrl === undefined ? {} : { temporalUiUrl }),
      },
    },
    ...(kept.oidc === undefined ? { devPeople: PEOPLE } : {}),
  };
}
