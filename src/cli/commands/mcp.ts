/** `countersign mcp`: a gateway's tools for a desktop client; `countersign mcp pin`: accepts the definitions of an MCP server's tools. */
import { once } from 'node:events';
import type { Command } from 'commander';
import type { Digest, JsonObject } from '../../action/json.js';
import type { Difference } from '../../tools/mcp/pinning.js';
import { variable, type Environment } from '../../environment.js';
import type { Definition, Pinnable } from '../../tools/pinnable.js';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import type { Exit } from '../exit-codes.js';
import { sanitize } from '../../presentation/sanitize.js';
import type { Output } from '../output.js';
import { usageError } from '../usage-error.js';

interface PinOptions {
  readonly config?: string;
  readonly accept?: string;
  readonly as?: string;
  readonly reason?: string;
}

/** How long a server may take to say what it offers. Milliseconds. */
const OFFER_MS = 60_000;

export function mcp(program: Command): void {
  const command = program
    .command('mcp')
    .description('speak MCP on stdin and stdout, with the tools of a gateway; and accept what MCP servers offer')
    .addHelpText(
      'after',
      examples(
        'COUNTERSIGN_GATEWAY_URL=http://localhost:8787 COUNTERSIGN_API_KEY=csa_… countersign mcp',
        'countersign mcp pin files',
      ) + '\n\nDesktop clients start it themselves: see docs/mcp.md for what to write into their settings.',
    )
    .action(run(serve));
  command
    .command('pin <tool>')
    .description("show how a server's tools differ from what was accepted, and accept them as they are")
    .option('--config <file>', 'the config; default: COUNTERSIGN_CONFIG, else countersign.config.mjs')
    .option('--accept <digest>', 'accept exactly what was shown under this digest')
    .option(
      '--as <credential>',
      'sign for the acceptance: the credential, or its file, of an approver who may accept pins',
    )
    .option('--reason <text>', 'why; kept with the receipt of the acceptance')
    .addHelpText(
      'after',
      examples(
        'countersign mcp pin files',
        'countersign mcp pin files --accept sha256:0f3a… --as ann.csk --reason "the new argument is harmless"',
        'countersign mcp pin files --as ann.csk --reason "reviewed with the config"',
      ) +
        '\n\nWithout --accept the file stays as it is. With --as a worker records who accepted it and why, which production workers ask for (signedPins);' +
        '\nit must be running. Restart the workers afterwards: they read the pins when they start.',
    )
    .action(run(pin));
}

async function serve({ env }: Context): Promise<void> {
  const url = needed('COUNTERSIGN_GATEWAY_URL', 'the address of the gateway: https://countersign.example.com', env);
  const credential = needed('COUNTERSIGN_API_KEY', 'an API key made by `countersign api-key create`, or a token', env);
  const [{ serveGatewayOnStdio }, { awaitStop }] = await Promise.all([
    import('../mcp-stdio.js'),
    import('../await-stop.js'),
  ]);
  const { stopped } = awaitStop();
  // The client ends it by closing its standard input.
  const left = once(process.stdin, 'end');
  const served = await serveGatewayOnStdio({ url, credential });
  await Promise.race([left, stopped]);
  await served.close();
}

function needed(name: 'COUNTERSIGN_GATEWAY_URL' | 'COUNTERSIGN_API_KEY', expected: string, env: Environment): string {
  const value = variable(name, env);
  if (value !== undefined) return value;
  throw usageError(`${name} is not set.`, { field: name, expected });
}

async function pin(context: Context, name: string, options: PinOptions): Promise<Exit | void> {
  const { config: file, accept, as, reason } = options;
  if ((as === undefined) !== (reason === undefined)) throw unsaid(as === undefined ? '--as' : '--reason');
  const [{ loadConfig }, { definitionDigest, pinsDigest }, pinning, { digest }] = await Promise.all([
    import('../../config/config.js'),
    import('../../tools/mcp/definitions.js'),
    import('../../tools/mcp/pinning.js'),
    import('../../action/json.js'),
  ]);
  const config = await loadConfig(file, context.env);
  for (const tool of config.tools) context.defer(() => tool.close());
  const pinnable = config.tools.find((tool) => tool.name === name)?.pinning;
  if (pinnable === undefined) throw noSuchTool(name, config.tools);
  const offered = await pinnable.offered(AbortSignal.timeout(OFFER_MS));
  const differences = pinning.differencesOf(pinnable, offered);
  const shown = digest(differences.map(({ name: tool, offered: now }) => [tool, now ? definitionDigest(now) : null]));
  // What the file holds then.
  const pins = pinsDigest(name, differences.length > 0 ? pinning.pinsOf(pinnable, offered) : pinnable.accepted);
  const document = { tool: name, file: pinnable.file, digest: shown, pins, differences, accepted: false };
  if (accept !== undefined && accept !== shown) {
    throw usageError('What the server offers is not what was shown under this digest.', {
      field: '--accept',
      expected: shown,
      fix: `Look at it again: countersign mcp pin ${name}`,
    });
  }
  if (differences.length === 0 || accept !== undefined) {
    // Before the file: what nobody may sign for is not written either.
    const receipt =
      as === undefined || reason === undefined ? undefined : await signFor(context, name, pins, as, reason);
    if (differences.length > 0) await pinning.accept(name, pinnable, offered);
    const text = differences.length > 0 ? `${differences.length} accepted in ${pinnable.file}` : 'nothing has changed';
    const signed = receipt === undefined ? '' : `\nreceipt #${receipt.seq} of ${sanitize(receipt.tenant)}`;
    const done = { ...document, accepted: true, ...(receipt === undefined ? {} : { receipt }) };
    context.out.result(done, () => `${context.out.paint.green('✓')} ${text}${signed}`);
    return;
  }
  context.out.result(document, () => textOf(context.out, name, shown, differences));
  return 'pending';
}

/** @throws CountersignError as `Countersign.submitCommand` does */
async function signFor(context: Context, subject: string, pins: Digest, as: string, reason: string) {
  const { sendSignedCommand } = await import('../send-signed-command.js');
  const { credential, holder } = await context.approver(as);
  const order = { kind: 'accept_pins', tenant: holder.tenant, subject, pins, reason } as const;
  const done = await sendSignedCommand(context, credential, order);
  return done.kind === 'accept_pins' ? done.receipt : undefined;
}

function unsaid(field: '--as' | '--reason') {
  return usageError('Who signs for an acceptance says why.', { field, expected: '--as and --reason, or neither' });
}

function noSuchTool(name: string, tools: readonly { readonly name: string; readonly pinning?: Pinnable }[]) {
  const names = tools.filter(({ pinning }) => pinning !== undefined).map((tool) => tool.name);
  return usageError(`The config has no MCP server named ${name}.`, {
    field: 'tool',
    expected: names.length === 0 ? 'a tool that was made with mcp()' : `one of: ${names.join(', ')}`,
  });
}

/** What a server says is shown as data: on one line each, with nothing in it that moves or hides text. */
function textOf({ paint }: Output, name: string, shown: string, differences: readonly Difference[]): string {
  const lines = differences.flatMap(({ name: tool, accepted, offered }) => {
    const title = accepted === undefined ? 'new' : offered === undefined ? 'not offered any more' : 'changed';
    return [
      `${paint.bold(sanitize(tool))}: ${title}`,
      ...PARTS.flatMap((part) => partLines(part, accepted, offered).map((line) => `  ${sanitize(line)}`)),
    ];
  });
  return [...lines, '', `To accept exactly this: countersign mcp pin ${name} --accept ${shown}`].join('\n');
}

const PARTS = ['title', 'description', 'inputSchema', 'outputSchema', 'annotations'] as const;

function partLines(part: (typeof PARTS)[number], before?: Definition, now?: Definition): readonly string[] {
  const [old, fresh] = [wordsOf(before?.[part]), wordsOf(now?.[part])];
  if (old === fresh) return [];
  return [...(old === undefined ? [] : [`- ${part}: ${old}`]), ...(fresh === undefined ? [] : [`+ ${part}: ${fresh}`])];
}

function wordsOf(value: string | JsonObject | undefined): string | undefined {
  return value === undefined || typeof value === 'string' ? value : JSON.stringify(value);
}
