/** `countersign worker`: takes actions from the task queue and brings them to their outcome. */
import type { Command } from 'commander';
import { examples, run } from '../command.js';
import { LOCAL_FOLDER, type Context } from '../context.js';

export function worker(program: Command): void {
  program
    .command('worker')
    .description('run a worker: it holds the tools, their credentials and the signing keys')
    .option('--config <file>', 'the config; default: COUNTERSIGN_CONFIG, else countersign.config.mjs')
    .addHelpText(
      'after',
      examples(
        'countersign worker',
        'COUNTERSIGN_ENV=production COUNTERSIGN_KEYS_FILE=/run/secrets/keys.json countersign worker --config /etc/countersign.config.mjs',
      ) +
        '\n\nRun `countersign setup` first. SIGTERM or Ctrl-C lets it finish what it has begun. Logs go to stderr as JSON lines.',
    )
    .action(run(runWorker));
}

async function runWorker(context: Context, options: { config?: string }): Promise<void> {
  const { env, out } = context;
  const ledgerUrl = context.ledgerUrl();
  const [
    { startWorker },
    { digestOf },
    { deploymentOf, loadConfig },
    { faultsFromEnv },
    { loadKeyring },
    { startLogging },
    { startObserving },
    { awaitStop },
    { onShutdown },
  ] = await Promise.all([
    import('../../worker/worker.js'),
    import('../../worker/policy-source.js'),
    import('../../config/config.js'),
    import('../../worker/faults.js'),
    import('../../trust/index.js'),
    import('../logging.js'),
    import('../telemetry.js'),
    import('../await-stop.js'),
    import('../../shutdown.js'),
  ]);
  const { stopped } = awaitStop();
  const logger = await startLogging(env, 'info');
  const keyring = await loadKeyring({
    env,
    devPath: `${LOCAL_FOLDER}/keys.json`,
    onCreated: (path) => logger.warn({ path }, 'created development keys'),
  });
  const config = await loadConfig(options.config, env);
  await startObserving({ service: 'worker', config, env, logger });
  const deployment = deploymentOf(config, env);
  const running = await startWorker({
    config,
    ...(deployment === undefined ? {} : { deployment }),
    temporal: context.temporalSettings,
    ledgerUrl,
    ...(context.ledgerSchema().schema === undefined ? {} : { ledgerSchema: context.ledgerSchema().schema as string }),
    keyring,
    logger,
    faults: faultsFromEnv(env),
  });
  onShutdown('the worker', () => running.stop());
  const { taskQueue, address, namespace } = context.temporalSettings;
  const { policy, version } = running;
  out.result(
    { worker: { taskQueue, address, namespace, policy: digestOf(policy) ?? null, ...(version && { version }) } },
    () => '',
  );
  // It rejects when the worker dies by itself: then the command fails.
  await Promise.all([running.done, stopped]);
}
