/** `countersign canary send`: shows people something that nobody proposed and that they should refuse. */
import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import type { CanaryTemplate } from '../../action/canary.js';
import { CountersignError } from '../../action/errors.js';
import { withoutUndefined } from '../../action/json.js';
import { sanitize } from '../../presentation/sanitize.js';
import { collect, examples, run } from '../command.js';
import type { Context } from '../context.js';
import { AS_OPTION, sendSignedCommand } from '../send-signed-command.js';
import { inputOf, type InputOptions } from '../tool-input.js';
import { usageError } from '../usage-error.js';

interface SendOptions extends InputOptions {
  readonly tool?: string;
  readonly rule?: string;
  readonly agent?: string;
  readonly agentRole?: readonly string[];
  readonly agentOwner?: string;
  readonly reasoning?: string;
  readonly expect?: string;
  readonly actionId?: string;
  readonly reason?: string;
  readonly config?: string;
  readonly as?: string;
}

export function canary(program: Command): void {
  program
    .command('canary')
    .description('canaries: made-up requests that should be refused, to see whether people look')
    .command('send')
    .argument('[template]', 'a canary of the config (`oversight.canaries.templates`); default: what the options say')
    .description('put a canary into the inbox; nothing can come of it, whatever is decided')
    .option('--tool <tool>', 'the tool that it seems to use')
    .option('--input <json>', "the tool's input as JSON; - reads it from stdin")
    .option('--input-file <file>', 'the same from a file')
    .option('--rule <id>', 'the rule that must ask for people; default: whichever does')
    .option('--agent <id>', 'the agent that seems to propose it')
    .option('--agent-role <role>', "one of that agent's roles; repeat for more", collect)
    .option('--agent-owner <person>', 'who seems to answer for that agent')
    .option('--reasoning <text>', "the agent's words, as it seems")
    .option('--expect <cel>', 'what it seems to promise')
    .option('--action-id <id>', 'the id that it goes by; default: a random one')
    .option('--reason <text>', "why it should be refused; told to people afterwards. Default: the template's")
    .option('--config <file>', 'where the template is; default: COUNTERSIGN_CONFIG, else countersign.config.mjs')
    .option('--as <credential>', AS_OPTION)
    .addHelpText(
      'after',
      examples(
        'countersign canary send drop-customers --as olga.csk',
        `countersign canary send --tool shop-db --input '{"op":"delete","table":"sessions"}' --rule production-large-change \\
      --agent cleanup-bot --agent-role admin_user --reasoning "old sessions" --reason "it deletes all of them" --as olga.csk`,
      ) + '\n\nHow people decided: countersign oversight. Take one back: countersign cancel <actionId>.',
    )
    .action(run(send));
}

async function send(context: Context, name: string | undefined, options: SendOptions): Promise<void> {
  const { template, reason } =
    name === undefined ? await made(context, options) : await configured(context, name, options);
  const { credential, holder } = await context.approver(options.as);
  const { tenant } = holder;
  const done = await sendSignedCommand(context, credential, {
    kind: 'send_canary',
    tenant,
    subject: options.actionId ?? randomUUID(),
    canary: template,
    reason,
  });
  if (done.kind !== 'send_canary') return;
  const { out } = context;
  const { canary: sent, receipt } = done;
  out.result(
    { ...sent, receipt },
    () =>
      `${out.paint.green('✓ sent')} ${sanitize(sent.actionId)}: people are asked by ${sanitize(sent.rules.join(', '))} until ${sent.expiresAt}\n  receipt #${receipt.seq} of ${sanitize(tenant)}\n\nKeep it to yourself. How they decide: countersign oversight`,
  );
}

interface Sending {
  readonly template: CanaryTemplate;
  readonly reason: string;
}

async function made(context: Context, options: SendOptions): Promise<Sending> {
  const { tool, rule, agent, agentRole: roles = [], agentOwner: owner, reasoning, expect, reason } = options;
  const missing = [['--tool', tool] as const, ['--agent', agent] as const, ['--reason', reason] as const];
  for (const [field, value] of missing) if (value === undefined) throw notSaid(field);
  const input = await inputOf(options, context.terminal);
  const { canaryTemplateSchema } = await import('../../action/canary-template.js');
  const { zodError } = await import('../../action/proposal.js');
  const template = canaryTemplateSchema.safeParse(
    withoutUndefined({ tool, input, agent: withoutUndefined({ id: agent, roles, owner }), rule, reasoning, expect }),
  );
  if (!template.success) throw zodError('INVALID_PROPOSAL', template.error, 'canary');
  return { template: template.data, reason: reason as string };
}

async function configured(context: Context, name: string, options: SendOptions): Promise<Sending> {
  const given = (['tool', 'input', 'inputFile', 'rule', 'agent', 'reasoning', 'expect'] as const).find(
    (option) => options[option] !== undefined,
  );
  if (given !== undefined) {
    throw usageError('The template says what is sent.', {
      field: `--${given.replace('File', '-file')}`,
      expected: 'a template, or the options that make one',
    });
  }
  const { loadConfig } = await import('../../config/config.js');
  const { oversight, tools } = await loadConfig(options.config, context.env);
  for (const tool of tools) context.defer(() => tool.close());
  const templates = oversight?.canaries?.templates ?? {};
  const found = templates[name];
  if (found === undefined) {
    throw new CountersignError('NOT_FOUND', `The config has no canary ${JSON.stringify(name)}.`, {
      field: 'oversight.canaries.templates',
      expected: `one of: ${Object.keys(templates).sort().join(', ') || '(none is configured)'}`,
      fix: 'Name another, or add it to the config.',
    });
  }
  const { reason, ...template } = found;
  return { template, reason: options.reason ?? reason };
}

function notSaid(field: string): CountersignError {
  return usageError('What is to be sent is not said.', {
    field,
    expected: 'a template of the config; or --tool, --input, --agent and --reason',
  });
}
