/** `countersign codec-server`: lets the Temporal CLI of this machine read what is encrypted. */
import type { Command } from 'commander';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import { shellQuoted } from '../shell-quote.js';
import { wholeNumber } from '../whole-number.js';

export function codecServer(program: Command): void {
  program
    .command('codec-server')
    .description('decrypt payloads for the Temporal CLI of this machine, until Ctrl-C; for the UI there is the gateway')
    .option('--port <n>', 'default: a free port', wholeNumber('--port', 0, 65_535), 0)
    .addHelpText(
      'after',
      examples('COUNTERSIGN_PAYLOAD_KEYS_FILE=payload-keys.json countersign codec-server') +
        '\n\nIt listens on 127.0.0.1, and only whoever has the token that it prints is answered. Logs go to stderr as JSON lines.',
    )
    .action(run(runCodecServer));
}

async function runCodecServer(context: Context, { port }: { port: number }): Promise<void> {
  const [
    { startLocalCodecServer },
    { requiredKeys },
    { payloadEncryption },
    { startLogging },
    { awaitStop },
    { onShutdown },
  ] = await Promise.all([
    import('../../gateway/codec/local.js'),
    import('../../privacy/payload-keys.js'),
    import('../../privacy/data-converter.js'),
    import('../logging.js'),
    import('../await-stop.js'),
    import('../../shutdown.js'),
  ]);
  const { stopped } = awaitStop();
  const encryption = await payloadEncryption(context.env);
  requiredKeys(encryption.keys);
  const logger = await startLogging(context.env, 'info');
  const server = await startLocalCodecServer(encryption.forReaders, { port, logger });
  onShutdown('the codec server', () => server.stop());
  const { url, authorization } = server;
  const flags = `--codec-endpoint ${url} --codec-auth ${shellQuoted(authorization)}`;
  context.out.result({ url, authorization }, () => `temporal workflow show --workflow-id … ${flags}`);
  await stopped;
}
