/** `countersign erase`: what the ledger keeps of one person's values can be neither read nor tried out any more. */
import type { Command } from 'commander';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import { operatorName } from '../operator-name.js';

interface EraseOptions {
  readonly tenant: string;
  readonly reason: string;
  readonly by?: string;
  readonly config?: string;
}

export function erase(program: Command): void {
  program
    .command('erase')
    .description('erase the key under which values about one person are recorded; needs the ledger and the config')
    .argument('<subject>', 'the id of the person, as inputs name it where privacy.redaction says so')
    .requiredOption('--tenant <tenant>', 'the tenant')
    .requiredOption('--reason <text>', 'why; kept for good, so it should not name the person')
    .option('--by <name>', 'your name for the record; default: your login name')
    .option('--config <file>', 'the config; default: COUNTERSIGN_CONFIG, else countersign.config.mjs')
    .addHelpText(
      'after',
      examples('countersign erase 4711 --tenant acme --reason "request 2026-118"') +
        '\n\nThe chain of receipts still verifies. Nothing brings the key back, and what it kept cannot be undone any more.',
    )
    .action(run(eraseSubject));
}

async function eraseSubject(context: Context, subject: string, options: EraseOptions): Promise<void> {
  const [{ loadConfig }, { openRedaction }, { payloadEncryption }, { checkTenant }, { CountersignError }] =
    await Promise.all([
      import('../../config/config.js'),
      import('../../privacy/open-redaction.js'),
      import('../../privacy/data-converter.js'),
      import('../action-name.js'),
      import('../../action/errors.js'),
    ]);
  const tenant = checkTenant(options.tenant);
  const { privacy, tools } = await loadConfig(options.config, context.env);
  for (const tool of tools) context.defer(() => tool.close());
  const ledger = await context.ledger();
  const encryption = await payloadEncryption(context.env, privacy);
  const redaction = await openRedaction(privacy?.redaction, encryption, ledger.subjectKeys);
  if (redaction === undefined) {
    throw new CountersignError('CONFIG_INVALID', 'The config does not say that anything is redacted.', {
      field: 'privacy.redaction',
      expected: 'rules with `subject`',
      fix: 'Use the config that the workers use.',
    });
  }
  const [by, names] = [await operatorName(options.by), redaction.namesOf(tenant, subject)];
  const erased: string[] = [];
  for (const name of names) {
    if (await ledger.subjectKeys.erase({ tenant, subject: name, by, reason: options.reason })) erased.push(name);
  }
  if (erased.length === 0) {
    throw new CountersignError(
      'NOT_FOUND',
      'Nothing is recorded under a key of this person, or it was erased before.',
      {
        field: 'subject',
        expected: 'an id as inputs name it, and the tenant of the actions',
      },
    );
  }
  const { out } = context;
  out.result({ tenant, erased }, () => `${out.paint.green('✓')} erased: ${erased.join(', ')}`);
}
