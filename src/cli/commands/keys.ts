/** `countersign keys`: the operator's signing keys. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { examples, run } from '../command.js';
import { usage } from '../usage.js';

export function keys(program: Command): void {
  const command = program.command('keys').description("the operator's signing keys");
  command
    .command('create')
    .description('make a new key for each role: issuer, grant, receipt')
    .requiredOption('--out <file>', 'a new file that only you can read')
    .addHelpText(
      'after',
      examples('countersign keys create --out keys.json') +
        '\n\nKeep it as a secret. Workers need "grant" and "receipt"; only who issues credentials needs "issuer".',
    )
    .action(
      run(async ({ out }, options: { out: string }) => {
        const { createKeyFile } = await import('../../trust/index.js');
        const file = resolve(options.out);
        if (!(await createKeyFile(file))) {
          throw usage(`${file} is there already.`, {
            field: '--out',
            expected: 'a new file',
            fix: 'Keys that are in use must not be lost: choose another name.',
          });
        }
        out.result({ file }, () => `${out.paint.green('✓')} keys made\n\n  export COUNTERSIGN_KEYS_FILE=${file}`);
      }),
    );
  command
    .command('public')
    .description('print the public keys: enough to verify receipts and credentials, and no secret')
    .addHelpText('after', examples('countersign keys public > public-keys.json'))
    .action(
      run(async (context) => {
        const { publicKeyring } = await import('../../trust/index.js');
        const file = await publicKeyring(await context.keyring());
        context.out.result(file, () => JSON.stringify(file, null, 2));
      }),
    );
}
