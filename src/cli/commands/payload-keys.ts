/** `countersign payload-keys`: the keys that encrypt what passes through Temporal. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { PayloadKeyIds } from '../../privacy/payload-key-files.js';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';

export function payloadKeys(program: Command): void {
  const command = program
    .command('payload-keys')
    .description(
      'the keys that encrypt what passes through Temporal, in one file that every process of Countersign has',
    );
  command
    .command('create')
    .description('create a file with a first key')
    .requiredOption('--out <file>', 'a new file that only you can read')
    .addHelpText('after', examples('countersign payload-keys create --out payload-keys.json'))
    .action(
      run(async (context, options: { out: string }) => {
        const { createPayloadKeys } = await import('../../privacy/payload-key-files.js');
        const file = resolve(options.out);
        told(context, file, await createPayloadKeys(file, new Date()), [
          '',
          `  export COUNTERSIGN_PAYLOAD_KEYS_FILE=${file}`,
          '',
          'Keep it secret, and keep it: without it, nothing that was encrypted under it can be read.',
        ]);
      }),
    );
  command
    .command('add')
    .description('add a key that only decrypts, until `use`')
    .requiredOption('--file <file>', 'the file of payload keys')
    .addHelpText('after', examples('countersign payload-keys add --file payload-keys.json'))
    .action(
      run(async (context, options: { file: string }) => {
        const { addPayloadKey } = await import('../../privacy/payload-key-files.js');
        const file = resolve(options.file);
        const ids = await addPayloadKey(file, new Date());
        told(context, file, ids, [
          '',
          'Give every process the file and restart it. Once all have it:',
          `  countersign payload-keys use --file ${options.file} ${ids.added}`,
        ]);
      }),
    );
  command
    .command('use')
    .description('have a key encrypt from now on; the others go on decrypting')
    .argument('[id]', 'default: the key that was added last')
    .requiredOption('--file <file>', 'the file of payload keys')
    .addHelpText('after', examples('countersign payload-keys use --file payload-keys.json'))
    .action(
      run(async (context, id: string | undefined, options: { file: string }) => {
        const { usePayloadKey } = await import('../../privacy/payload-key-files.js');
        const file = resolve(options.file);
        told(context, file, await usePayloadKey(file, id), ['', 'Give every process the file and restart it.']);
      }),
    );
}

function told({ out }: Context, file: string, { encrypts, decrypts }: PayloadKeyIds, next: readonly string[]): void {
  out.result({ file, encrypts, decrypts }, () =>
    [
      `${out.paint.green('✓')} ${file}`,
      `  ${encrypts} encrypts`,
      ...decrypts.filter((id) => id !== encrypts).map((id) => `  ${id} decrypts`),
      ...next,
    ].join('\n'),
  );
}
