/** What to paste where agents are: the configuration of MCP clients, and a first script. No secret stands in it: both read `.env.agent`. */
import { literal, literalList } from './literal.js';

export interface McpServerEntry {
  readonly command: string;
  readonly args: readonly string[];
}

export interface McpSnippets {
  /** For Claude Desktop and Cursor. */
  readonly mcpServers: { readonly mcpServers: { readonly countersign: McpServerEntry } };
  readonly vscode: { readonly servers: { readonly countersign: McpServerEntry & { readonly type: 'stdio' } } };
}

/**
 * Absolute paths, because desktop clients start programs in folders and with a PATH of their own. Node reads the secrets, so that they stand
 * in one file only.
 */
export function mcpSnippets({ envFile, program }: { readonly envFile: string; readonly program: string }): McpSnippets {
  const entry = { command: process.execPath, args: [`--env-file=${envFile}`, program, 'mcp'] };
  return {
    mcpServers: { mcpServers: { countersign: entry } },
    vscode: { servers: { countersign: { type: 'stdio', ...entry } } },
  };
}

export interface Script {
  readonly file: string;
  readonly install: string;
  readonly run: string;
  readonly code: string;
}

/** More would make the script hard to read, and the model can look them up. */
const MOST_NAMED = 20;

/** An agent of LangChain with three tools. `tables` are those that it may name; empty: any. */
export function langchainScript({
  tool,
  tables,
}: {
  readonly tool: string;
  readonly tables: readonly string[];
}): Script {
  const table = tables.length === 0 || tables.length > MOST_NAMED ? 'z.string()' : `z.enum(${literalList(tables, '')})`;
  const [first] = tables;
  const question = first === undefined ? 'Which tables are there?' : `Show me the first rows of ${first}.`;
  return {
    file: 'agent.mjs',
    install: 'npm install countersign-client langchain @langchain/core @langchain/langgraph @langchain/openai zod',
    run: 'OPENAI_API_KEY=sk-… node --env-file=.env.agent agent.mjs',
    code: `import { randomUUID } from 'node:crypto';
import { ChatOpenAI } from '@langchain/openai';
import { Countersign } from 'countersign-client';
import { countersignTool } from 'countersign-client/langchain';
import { createAgent } from 'langchain';
import { z } from 'zod';

const cs = new Countersign(); // COUNTERSIGN_GATEWAY_URL and COUNTERSIGN_API_KEY
const onPending = 'wait'; // where policy asks people, the call waits for their answer
const table = ${table};
const columns = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]));

const describeTables = countersignTool(cs, {
  name: 'describe_tables',
  description: 'Lists the tables with their columns and keys.',
  schema: z.object({}),
  propose: () => ({ tool: ${literal(tool)}, input: { op: 'describe' } }),
  onPending,
});
const selectRows = countersignTool(cs, {
  name: 'select_rows',
  description: 'Returns rows of a table whose columns have these values; all rows without where.',
  schema: z.object({ table, where: columns.optional() }),
  propose: (rows) => ({ tool: ${literal(tool)}, input: { op: 'select', limit: 20, ...rows } }),
  onPending,
});
const updateRows = countersignTool(cs, {
  name: 'update_rows',
  description: 'Sets columns of the rows of a table whose columns have these values.',
  schema: z.object({ table, set: columns, where: columns }),
  propose: (change) => ({ tool: ${literal(tool)}, input: { op: 'update', ...change } }),
  onPending,
});

const agent = createAgent({
  model: new ChatOpenAI({ model: 'gpt-5' }),
  tools: [describeTables, selectRows, updateRows],
});
const question = process.argv[2] ?? ${literal(question)};
const state = await agent.invoke(
  { messages: [{ role: 'user', content: question }] },
  { configurable: { thread_id: randomUUID() } },
);
console.log(state.messages.at(-1)?.content);
`,
  };
}
