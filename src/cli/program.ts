/** The commands of the command line, and what happens around any of them. */
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import type { CountersignError } from '../action/errors.js';
import { createAgent } from './commands/agent.js';
import { apiKeys } from './commands/api-key.js';
import { codecServer } from './commands/codec-server.js';
import { createApprover } from './commands/approver.js';
import { cancelAction } from './commands/cancel.js';
import { decideAction } from './commands/decide.js';
import { deployment } from './commands/deployment.js';
import { dev } from './commands/dev.js';
import { doctor } from './commands/doctor.js';
import { editAction } from './commands/edit.js';
import { roleDelegation } from './commands/role-delegation.js';
import { erase } from './commands/erase.js';
import { freezes } from './commands/freezes.js';
import { gateway } from './commands/gateway.js';
import { init } from './commands/init.js';
import { keys } from './commands/keys.js';
import { limits } from './commands/limits.js';
import { list } from './commands/list.js';
import { mcp } from './commands/mcp.js';
import { oversight } from './commands/oversight.js';
import { payloadKeys } from './commands/payload-keys.js';
import { pending } from './commands/pending.js';
import { policy } from './commands/policy/index.js';
import { propose } from './commands/propose.js';
import { radar } from './commands/radar.js';
import { receipts } from './commands/receipts.js';
import { record } from './commands/record.js';
import { replay } from './commands/replay.js';
import { saga } from './commands/saga.js';
import { setup } from './commands/setup.js';
import { show } from './commands/show.js';
import { standingApproval } from './commands/standing-approval.js';
import { signedCommands } from './commands/signed-commands.js';
import { trail } from './commands/trail/index.js';
import { worker } from './commands/worker.js';
import { examples } from './command.js';
import { EXIT_CODES, exitCodeHelp, exitOfError, type Exit } from './exit-codes.js';
import { flush, Output, surviveClosedPipes } from './output.js';
import { runOn, type Terminal } from './terminal.js';
import { usageError } from './usage-error.js';

const GROUPS = [
  { title: 'Run:', commands: [init, dev, worker, deployment, gateway, codecServer, mcp, setup, doctor] },
  {
    title: 'Credentials and delegation:',
    commands: [keys, payloadKeys, createAgent, createApprover, apiKeys, standingApproval, roleDelegation],
  },
  { title: 'Actions:', commands: [propose, show, list, pending, decideAction, editAction, cancelAction, saga] },
  { title: 'Policy and replay:', commands: [policy, record, replay] },
  {
    title: 'Control and audit:',
    commands: [freezes, signedCommands, limits, receipts, trail, radar, oversight, erase],
  },
] as const;

const ENVIRONMENT = `
Environment:
  TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE   the Temporal server (127.0.0.1:7233, default)
  TEMPORAL_API_KEY_FILE, TEMPORAL_API_KEY  the API key for it: a file, or its text
  TEMPORAL_TLS, TEMPORAL_TLS_…           TLS and the client certificate (docs/production.md)
  COUNTERSIGN_TASK_QUEUE                 the workers' task queue (countersign)
  COUNTERSIGN_LEDGER_URL                 Postgres URL of the ledger; else DATABASE_URL
  COUNTERSIGN_LEDGER_SCHEMA              its schema (countersign)
  COUNTERSIGN_KEYS_FILE, COUNTERSIGN_KEYS  the operator's keys: a file, or its JSON
  COUNTERSIGN_PAYLOAD_KEYS_FILE          the keys that encrypt what passes through Temporal
  COUNTERSIGN_AGENT, COUNTERSIGN_APPROVER  your credential: its text or its file
  COUNTERSIGN_CONFIG                     the workers' config (countersign.config.mjs)
  COUNTERSIGN_DEPLOYMENT, COUNTERSIGN_BUILD_ID  versions of the workers
  COUNTERSIGN_GATEWAY_URL, COUNTERSIGN_API_KEY  the gateway of countersign mcp
  COUNTERSIGN_ENV=production             keys are never generated, they must be given
  TEMPORAL_UI_URL                        for links (http://127.0.0.1:8233)
  COUNTERSIGN_LOG_LEVEL                  of dev and worker, on stderr
  COUNTERSIGN_DEBUG=1                    errors with their stack traces
  NO_COLOR=1                             no colours`;

export function createProgram(terminal: Terminal = process): Command {
  const program = new Command('countersign')
    .description(
      'Agents propose actions. Policy decides, people approve, and the result is verified in the real system.',
    )
    .version(version(), '-V, --version')
    .option('--json', 'print one JSON document on stdout instead of text; an error is {"error": {code, message, …}}')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true, sortOptions: false })
    // Errors are told by us, as all others; what commander writes to stderr beside them is help.
    .configureOutput({
      outputError: () => {},
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
    })
    .addHelpText(
      'after',
      examples(
        'countersign dev',
        'countersign agent create --id bot --tenant acme --role admin_user --scope shop-db --out bot.csk',
        `COUNTERSIGN_AGENT=bot.csk countersign propose --tool shop-db --input '{"op":"select","table":"orders"}'`,
        'countersign show <actionId>',
      ) + `\n${exitCodeHelp()}\n${ENVIRONMENT}`,
    );
  runOn(terminal, program);
  for (const { title, commands } of GROUPS) {
    program.commandsGroup(title);
    for (const add of commands) add(program);
  }
  program.commandsGroup('Help:').helpCommand('help [command]', 'show the help of a command');
  return program;
}

/** Runs the command that the arguments name, and says on the terminal how it ended. */
export async function runCommand(args: readonly string[], terminal: Terminal): Promise<void> {
  try {
    await createProgram(terminal).parseAsync(args, { from: 'user' });
  } catch (thrown) {
    terminal.exitCode = EXIT_CODES[misused(thrown, args, terminal)].code;
  }
}

/** Runs the command that the arguments name, and ends the process. */
export async function main(args: readonly string[]): Promise<void> {
  surviveClosedPipes();
  await runCommand(args, process);
  await flush();
  // What a library left open must not keep a finished command waiting.
  process.exit();
}

/** What parsing threw. Commander throws for help and version too. */
function misused(thrown: unknown, args: readonly string[], terminal: Terminal): Exit {
  if (thrown instanceof CommanderError && thrown.exitCode === 0) return 'success';
  const out = new Output({ json: args.includes('--json'), on: terminal });
  return exitOfError(out.fail(thrown instanceof CommanderError ? misuse(thrown) : thrown).code);
}

function misuse({ code, message }: CommanderError): CountersignError {
  if (code === 'commander.help') return usageError('No command was given.');
  const [what = '', ...hints] = message.replace(/^error: /, '').split('\n');
  return usageError(what, hints.length === 0 ? {} : { fix: hints.join(' ') });
}

function version(): string {
  const { version } = createRequire(import.meta.url)('countersign/package.json') as { version: string };
  return version;
}
