/** What an MCP client is offered: each operation that the agent's scopes cover, as a tool of its own, under a name that no other has. */
import { createHash } from 'node:crypto';
import type { Tool as McpTool } from '@modelcontextprotocol/server';
import type { CatalogueTool, OperationDescription } from '../../action/catalogue.js';
import { scopeCovers } from '../../trust/scopes.js';
import type { AgentPrincipal } from '../auth/principal.js';

export interface Offered {
  /** As the client knows it: `files_write_file`. */
  readonly name: string;
  readonly tool: CatalogueTool;
  readonly operation: OperationDescription;
}

/** What the model providers take as a name. */
const MAX_NAME = 64;

/** In the order of their names, so that pages and caches of clients hold. */
export function offeredTo(
  { scopes }: Pick<AgentPrincipal, 'scopes'>,
  catalogue: readonly CatalogueTool[],
  reserved: ReadonlySet<string>,
): readonly Offered[] {
  return named(catalogue, reserved)
    .filter(({ tool, operation: { operation, alsoNamed = [] } }) =>
      [operation, ...alsoNamed].some((name) => scopeCovers(scopes, tool.name, name)),
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The names do not depend on who asks: what one agent calls a tool, every agent does. */
function named(catalogue: readonly CatalogueTool[], reserved: ReadonlySet<string>): readonly Offered[] {
  const all = catalogue.flatMap((tool) => tool.operations.map((operation) => ({ tool, operation })));
  const isUsable = (name: string, names: readonly string[]): boolean =>
    name.length <= MAX_NAME && !reserved.has(name) && names.indexOf(name) === names.lastIndexOf(name);
  const full = all.map(({ tool, operation }) => plain(`${tool.name}_${operation.operation}`));
  const wanted = all.map(({ tool, operation }, at) =>
    tool.ownNames === true ? plain(operation.operation) : (full[at] ?? ''),
  );
  const given = wanted.map((name, at) => (isUsable(name, wanted) ? name : (full[at] ?? '')));
  return all.map(({ tool, operation }, at) => {
    const name = given[at] ?? '';
    return { tool, operation, name: isUsable(name, given) ? name : distinctName(name, tool.name, operation.operation) };
  });
}

function plain(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_-]/g, '_');
}

function distinctName(name: string, tool: string, operation: string): string {
  const mark = createHash('sha256').update(`${tool}\n${operation}`).digest('hex').slice(0, 8);
  return `${name.slice(0, MAX_NAME - mark.length - 1)}_${mark}`;
}

export function mcpToolOf({ name, tool, operation }: Offered): McpTool {
  const { title, description, actionType, idempotent } = operation;
  const isRead = actionType === 'READ';
  return {
    name,
    ...(title === undefined ? {} : { title }),
    description: `${description}${description === '' ? '' : '\n\n'}(${tool.name}, ${tool.environment})`,
    inputSchema: operation.arguments as McpTool['inputSchema'],
    annotations: {
      readOnlyHint: isRead,
      destructiveHint: !isRead,
      idempotentHint: idempotent,
      openWorldHint: tool.kind !== 'postgres',
    },
  };
}
