/** `countersign trail export`: a tenant's trail as a file. */
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Option, type Command } from 'commander';
import type { TrailLine } from '../../../trail/format.js';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import { trailNotFound } from '../../../action/errors-not-found.js';

const FORMATS = ['jsonl', 'dsse', 'ocsf'] as const;

interface ExportOptions {
  readonly tenant: string;
  readonly format: (typeof FORMATS)[number];
  readonly out: string;
}

export function exportTrail(command: Command): void {
  command
    .command('export')
    .description("write a tenant's trail to a file that can be verified anywhere")
    .requiredOption('--tenant <tenant>', "whose trail; '*' is the one of what is about every tenant")
    .requiredOption('--out <file>', 'the file to write')
    .addOption(
      new Option(
        '--format <format>',
        'jsonl: with checkpoints, to be verified; dsse: in-toto statements; ocsf: events for a SIEM',
      )
        .choices(FORMATS)
        .default('jsonl'),
    )
    .addHelpText(
      'after',
      examples(
        'countersign trail export --tenant acme --out acme.jsonl',
        'countersign trail export --tenant acme --format ocsf --out acme.ocsf.jsonl',
      ) + '\n\nNeeds the ledger; `dsse` the private receipt key too. docs/trail.md describes the formats.',
    )
    .action(run(write));
}

async function write(context: Context, { tenant, format, out: file }: ExportOptions): Promise<void> {
  const { exportLines } = await import('../../../trail/export-lines.js');
  const ledger = await context.ledger();
  if ((await ledger.trail.size(tenant)) === 0) {
    throw trailNotFound(`There is no trail of ${JSON.stringify(tenant)}.`, 'Name a tenant whose actions have ended.');
  }
  const lines = exportLines(ledger, tenant);
  const counted = { lines: 0 };
  const documents = await documentsOf(lines, format, context);
  const text = async function* (): AsyncGenerator<string> {
    for await (const document of documents) {
      counted.lines++;
      yield `${JSON.stringify(document)}\n`;
    }
  };
  // A file that is there is whole: what was begun and not ended has another name, and is removed.
  const draft = `${file}.${process.pid}`;
  try {
    await pipeline(Readable.from(text()), createWriteStream(draft, { mode: 0o600 }));
    await rename(draft, file);
  } finally {
    await rm(draft, { force: true });
  }
  const { out } = context;
  out.result(
    { file, tenant, format, lines: counted.lines },
    () =>
      `${out.paint.green('✓')} ${counted.lines} lines in ${file}\n\n  countersign trail verify ${file} --keys public-keys.json`,
  );
}

async function documentsOf(
  lines: AsyncIterable<TrailLine>,
  format: ExportOptions['format'],
  context: Context,
): Promise<AsyncIterable<unknown>> {
  switch (format) {
    case 'jsonl':
      return lines;
    case 'dsse': {
      const { envelopes } = await import('../../../trail/statements.js');
      return envelopes(lines, await context.keyring());
    }
    case 'ocsf': {
      const { ocsfEvents } = await import('../../../trail/ocsf.js');
      const { version } = createRequire(import.meta.url)('countersign/package.json') as { version: string };
      return ocsfEvents(lines, version);
    }
  }
}
