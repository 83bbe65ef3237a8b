/** `countersign keys`: the operator's signing keys. */
import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import type { KeyRole } from '../../trust/index.js';
import { examples, run } from '../command.js';
import { usageError } from '../usage-error.js';

/** The private keys that each kind of process signs with. */
const PROCESSES = {
  worker: ['grant', 'receipt', 'tool'],
  'tool-worker': ['tool'],
  gateway: ['gateway'],
  issuer: ['issuer'],
} as const satisfies Readonly<Record<string, readonly KeyRole[]>>;

/** Spelled out, so that `--help` need not load what signs. */
const ROLES: readonly KeyRole[] = ['issuer', 'grant', 'receipt', 'tool', 'gateway'];

export function keys(program: Command): void {
  const command = program.command('keys').description("the operator's signing keys");
  create(command);
  extract(command);
  printPublic(command);
}

function create(command: Command): void {
  command
    .command('create')
    .description('create a new key for each role: issuer, grant, receipt, tool, gateway')
    .requiredOption('--out <file>', 'a new file that only you can read')
    .addOption(new Option('--role <role...>', 'create keys for these roles only').choices(ROLES))
    .addHelpText(
      'after',
      examples(
        'countersign keys create --out keys.json',
        'countersign keys create --role gateway --out gateway-keys.json',
      ) + '\n\nKeep it secret, and give each process only its part: `countersign keys extract`.',
    )
    .action(
      run(async ({ out }, options: { out: string; role?: readonly KeyRole[] }) => {
        const { createKeyFile } = await import('../../trust/index.js');
        const file = resolve(options.out);
        if (!(await createKeyFile(file, options.role))) {
          throw usageError(`${file} already exists.`, {
            field: '--out',
            expected: 'a new file',
            fix: 'Choose another name: keys that are in use must not be overwritten.',
          });
        }
        out.result({ file }, () => `${out.paint.green('✓')} keys created\n\n  export COUNTERSIGN_KEYS_FILE=${file}`);
      }),
    );
}

function extract(command: Command): void {
  command
    .command('extract')
    .description(
      'extract the keys of one process: the private keys that it signs with, and the public keys of the others',
    )
    .requiredOption('--keys <file>', 'the key file to extract from')
    .addOption(
      new Option('--for <process>', 'the process that signs with it')
        .choices(Object.keys(PROCESSES))
        .makeOptionMandatory(true),
    )
    .requiredOption('--out <file>', 'a new file that only you can read')
    .addHelpText(
      'after',
      examples(
        'countersign keys extract --keys keys.json --for gateway --out gateway-keys.json',
        'countersign keys extract --keys keys.json --for worker --out worker-keys.json',
      ) +
        '\n\nA worker signs grants and receipts, a gateway signs attestations, and only whoever issues credentials needs the issuer key.',
    )
    .action(
      run(async ({ out }, options: { keys: string; for: keyof typeof PROCESSES; out: string }) => {
        const { extractKeys } = await import('../../trust/index.js');
        const file = resolve(options.out);
        await extractKeys(resolve(options.keys), file, PROCESSES[options.for]);
        out.result(
          { file },
          () => `${out.paint.green('✓')} the ${options.for}'s keys\n\n  export COUNTERSIGN_KEYS_FILE=${file}`,
        );
      }),
    );
}

function printPublic(command: Command): void {
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
