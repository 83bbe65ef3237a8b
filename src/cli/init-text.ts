/** What `countersign init` says at its end: what it made, the next command, and what to paste where. */
import path from 'node:path';
import { variable } from '../environment.js';
import type { Initialized, Wanted } from '../init/initialize.js';
import { credentialFile, ENV_FILES } from '../init/initialize.js';
import { installationFor } from '../init/installation.js';
import { langchainScript, mcpSnippets, type McpSnippets, type Script } from '../init/snippets.js';
import { sanitize } from '../presentation/sanitize.js';
import type { Context } from './context.js';
import type { Paint } from './output.js';
import { shellQuoted } from './shell-quote.js';

interface Told {
  readonly wanted: Wanted;
  readonly made: Initialized;
  readonly next: readonly string[];
  readonly firstCall: string;
  readonly mcp: McpSnippets;
  readonly script: Script;
}

export function tellInitialized(context: Context, wanted: Wanted, made: Initialized): void {
  const { out, env } = context;
  const { folder, tool, tables } = wanted;
  const { program, installed } = installationFor(folder);
  const onDev = variable('COUNTERSIGN_LEDGER_URL', env) === undefined;
  const told: Told = {
    wanted,
    made,
    next: nextCommands({ folder, installed, onDev }),
    firstCall: firstCall(wanted, onDev),
    mcp: mcpSnippets({ envFile: path.join(folder, ENV_FILES.agent), program }),
    script: langchainScript({ tool, tables: tables ?? [] }),
  };
  if (onDev && wanted.ledger.url !== undefined)
    out.warn(
      'DATABASE_URL is set: the ledger is kept in that database, by `countersign dev` too. Unset it to keep it apart.',
    );
  out.result(documentOf(told), () => textOf(out.paint, told));
}

function nextCommands({ folder, installed, onDev }: { folder: string; installed: boolean; onDev: boolean }): string[] {
  return [
    ...(folder === process.cwd() ? [] : [`cd ${shellQuoted(path.relative(process.cwd(), folder))}`]),
    ...(installed ? [] : ['npm install countersign']),
    ...(onDev
      ? ['npx countersign dev']
      : ['npx countersign setup', 'npx countersign worker', 'npx countersign gateway']),
  ];
}

/** A read of the first table whose name needs no care. */
function firstCall({ tool, tables = [], dataFolder, agent }: Wanted, onDev: boolean): string {
  const table = tables.find((name) => /^\w+$/.test(name));
  const input = table === undefined ? { op: 'describe' } : { op: 'select', table, limit: 3 };
  const words = [
    'propose',
    '--as',
    credentialFile(dataFolder, agent.id),
    '--tool',
    tool,
    '--input',
    JSON.stringify(input),
  ];
  return `${onDev ? `source ${dataFolder}/env && ` : ''}npx countersign ${words.map(shellQuoted).join(' ')}`;
}

function documentOf({ wanted, made, next, firstCall, mcp, script }: Told): object {
  const { folder, tool, environment, schema, tables, leftOut, variable } = wanted;
  const { id, tenant, roles, scopes, expiresAt } = made.holder;
  return {
    folder,
    files: made.files,
    tool: { name: tool, kind: 'postgres', environment, schema, variable, tables: tables ?? null, leftOut },
    agent: { id, tenant, roles, scopes, expiresAt, apiKey: made.apiKey.id },
    gateway: made.gatewayUrl,
    next,
    firstCall,
    paste: { claudeDesktop: mcp.mcpServers, cursor: mcp.mcpServers, vscode: mcp.vscode, langchain: script },
  };
}

function textOf(paint: Paint, { wanted, made, next, firstCall, mcp, script }: Told): string {
  const { folder, tables, leftOut } = wanted;
  const covered = tables === undefined ? 'every table' : `${tables.length} of ${tables.length + leftOut.length} tables`;
  const what = `${paint.bold(wanted.tool)} (${wanted.environment}): ${covered} of the schema ${sanitize(wanted.schema)}`;
  const heading = (text: string): string[] => ['', paint.bold(text)];
  const json = (value: object): string[] =>
    JSON.stringify(value, null, 2)
      .split('\n')
      .map((line) => `  ${line}`);
  return [
    `${paint.green('✓')} ${what}`,
    ...leftOut.slice(0, 10).map(({ name, why }) => `  ${paint.yellow('left out')} ${sanitize(name)}: ${why}`),
    ...(leftOut.length > 10 ? [`  ${leftOut.length - 10} more are left out`] : []),
    `${paint.green('✓')} agent ${paint.bold(made.holder.id)} of ${made.holder.tenant}: ${made.holder.roles.join(', ')}`,
    '',
    `In ${sanitize(folder)}:`,
    ...made.files.map((file) => `  ${file}`),
    ...heading('Next'),
    ...next.map((line) => `  ${line}`),
    '',
    'A first call, in another shell:',
    `  ${firstCall}`,
    ...heading('Claude Desktop (claude_desktop_config.json) and Cursor (.cursor/mcp.json)'),
    ...json(mcp.mcpServers),
    ...heading('VS Code (.vscode/mcp.json)'),
    ...json(mcp.vscode),
    ...heading(`LangChain (${script.file})`),
    `  ${script.install}`,
    `  ${script.run}`,
    '',
    script.code,
    paint.dim(`${ENV_FILES.agent} is all that agents need. Keep ${ENV_FILES.workers} and .countersign/ from them.`),
  ].join('\n');
}
