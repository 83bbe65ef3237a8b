/** A gateway in a process of its own, so that it can be killed. Run directly it is that gateway; imported it starts one. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import pino from 'pino';
import { argumentsFor } from '../../scripts/program.js';
import type { TemporalSettings } from '../../src/environment.js';
import type { DevPerson } from '../../src/gateway/deps.js';
import { startGateway } from '../../src/gateway/server/server.js';
import { parseKeyring } from '../../src/trust/index.js';

export interface GatewayProcessOptions {
  readonly temporal: TemporalSettings;
  readonly ledgerUrl: string;
  readonly keys: string;
  readonly people: readonly DevPerson[];
  readonly port: number;
}

export interface GatewayProcess {
  readonly url: string;
  kill(): Promise<void>;
}

/** Returns once it listens. */
export async function spawnGateway(options: GatewayProcessOptions): Promise<GatewayProcess> {
  const child = spawn(process.execPath, argumentsFor(fileURLToPath(import.meta.url)), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, GATEWAY_OPTIONS: JSON.stringify(options) },
  });
  const died = once(child, 'exit');
  const said = await Promise.race([once(child, 'message'), died.then(() => undefined)]);
  if (said === undefined) throw new Error('the gateway process did not start');
  return {
    url: (said[0] as { url: string }).url,
    kill: async () => {
      child.kill('SIGKILL');
      await died;
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const options = JSON.parse(process.env['GATEWAY_OPTIONS'] as string) as GatewayProcessOptions;
  const gateway = await startGateway({
    config: { gateway: { port: options.port, limits: { requestsPerMinute: 100_000 } } },
    temporal: options.temporal,
    ledgerUrl: options.ledgerUrl,
    keyring: await parseKeyring(options.keys, 'GATEWAY_OPTIONS'),
    logger: pino({ level: process.env['TEST_LOG'] ?? 'silent' }),
    devPeople: options.people,
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.({ url: gateway.url });
}
