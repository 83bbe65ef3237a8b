/** `countersign gateway`: the HTTP API for agents, and the inbox for people. */
import type { Command } from 'commander';
import type { CountersignConfig } from '../../config/config.js';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import { wholeNumber } from '../whole-number.js';

interface GatewayCommandOptions {
  readonly config?: string;
  readonly host?: string;
  readonly port?: number;
}

export function gateway(program: Command): void {
  program
    .command('gateway')
    .description('run a gateway: the HTTP API for agents and the inbox for people. It holds no tool and no issuer key')
    .option('--config <file>', 'the config; default: COUNTERSIGN_CONFIG, else countersign.config.mjs')
    .option('--host <address>', 'the address to listen on; default: gateway.host of the config, else 127.0.0.1')
    .option('--port <n>', 'default: gateway.port of the config, else 8787', wholeNumber('--port', 0, 65_535))
    .addHelpText(
      'after',
      examples(
        'countersign gateway',
        'COUNTERSIGN_ENV=production COUNTERSIGN_KEYS_FILE=/run/secrets/gateway-keys.json countersign gateway --config /etc/countersign.config.mjs',
      ) +
        `

Run \`countersign setup\` first. Its keys file needs only the private "gateway" key and the public keys of the others.
Secrets come from the environment:
  COUNTERSIGN_OIDC_CLIENT_SECRET      of the identity provider's client
  COUNTERSIGN_METRICS_TOKEN           for /metrics where it is not on loopback
  COUNTERSIGN_SLACK_SIGNING_SECRET    for buttons in Slack
Any number of gateways may run side by side. SIGTERM or Ctrl-C lets requests end. Logs go to stderr as JSON lines.`,
    )
    .action(run(runGateway));
}

async function runGateway(context: Context, options: GatewayCommandOptions): Promise<void> {
  const { env, out } = context;
  const ledgerUrl = context.ledgerUrl();
  const [{ startGateway }, { loadConfig }, { startLogging }, { startObserving }, { awaitStop }, { onShutdown }] =
    await Promise.all([
      import('../../gateway/server/server.js'),
      import('../../config/config.js'),
      import('../logging.js'),
      import('../telemetry.js'),
      import('../await-stop.js'),
      import('../../shutdown.js'),
    ]);
  const { stopped } = awaitStop();
  const logger = await startLogging(env, 'info');
  const config = await loadConfig(options.config, env);
  await startObserving({ service: 'gateway', config, env, logger });
  const running = await startGateway({
    config: withOptions(config, options),
    temporal: context.temporalSettings,
    ledgerUrl,
    ...(context.ledgerSchema().schema === undefined ? {} : { ledgerSchema: context.ledgerSchema().schema as string }),
    keyring: await context.keyring(),
    logger,
    env,
  });
  onShutdown('the gateway', () => running.stop());
  out.result({ gateway: { url: running.url, port: running.port } }, () => `Countersign's gateway: ${running.url}`);
  await stopped;
}

function withOptions(config: CountersignConfig, { host, port }: GatewayCommandOptions): CountersignConfig {
  return {
    ...config,
    gateway: {
      ...config.gateway,
      ...(host === undefined ? {} : { host }),
      ...(port === undefined ? {} : { port }),
    },
  };
}
