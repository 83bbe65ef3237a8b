/** `/mcp` by the official client of both eras: what it is offered, what comes of calls, and who is let in. */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  Client,
  CLIENT_CAPABILITIES_META_KEY,
  StreamableHTTPClientTransport,
  type CallToolResult,
  type ClientOptions,
} from '@modelcontextprotocol/client';
import { resultFromTaskOutcome, type TaskEnabledSession } from '@modelcontextprotocol/ext-tasks/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { argumentsFor } from '../../scripts/program.js';
import type { OperationDescription } from '../../src/action/catalogue.js';
import { offeredTo } from '../../src/gateway/mcp/offered.js';
import type { McpProbe, McpToolOptions, StdioServer } from '../../src/tools/index.js';
import type { Credential } from '../../src/trust/index.js';
import type { ApiKeyOptions } from '../../src/gateway/store/api-keys.js';
import { startTestGateway, type TestGateway } from '../support/gateway.js';
import { shopTool, startStack, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { openNotes, type Notes } from '../support/mcp-notes.js';
import { sendAsIs, tasksOf } from '../support/mcp-tasks.js';
import { notesProcess, packaged, pinnedTool, pinsIn, temporaryFolder, WRITE_NOTE } from '../tools/mcp-support.js';

let stack: Stack;
let gateway: TestGateway;
let root: string;
let notes: Notes;
let dana: Credential;
/** Clients of the servers themselves, past the gateway. */
let direct: Readonly<Record<'everything' | 'memory', Client>>;
const closing: (() => Promise<void>)[] = [];

const ERAS = [
  ['2025-11-25', {}],
  ['2026-07-28', { versionNegotiation: { mode: { pin: '2026-07-28' } } }],
] as const satisfies readonly (readonly [string, ClientOptions])[];
const MODERN = ERAS[1][1];

const POLICY = `
@id("notes-may-be-written") permit (principal, action == Countersign::Action::"WRITE", resource == Countersign::Tool::"notes");
@id("other-notes-may-be-written") permit (principal, action == Countersign::Action::"WRITE", resource == Countersign::Tool::"careless");
@id("servers-may-be-read") permit (principal in Countersign::Role::"admin_user", action == Countersign::Action::"READ", resource)
when { resource.kind == "mcp" };
@id("memory-may-be-written") permit (principal, action == Countersign::Action::"WRITE", resource == Countersign::Tool::"memory");
@id("files-may-be-read") permit (principal, action == Countersign::Action::"READ", resource == Countersign::Tool::"files");
@id("files-may-be-written") permit (principal, action == Countersign::Action::"WRITE", resource == Countersign::Tool::"files");
@id("moves-are-asked-for") @reason("moving files is for people to approve") @approval("dba")
forbid (principal, action == Countersign::Action::"WRITE", resource == Countersign::Tool::"files")
when { context.operation == "move_file" };`;

/** The tools of two servers of the protocol's makers, with arguments for those that read. */
const READS = {
  everything: {
    echo: { message: 'hello' },
    'get-annotated-message': { messageType: 'success', includeImage: true },
    'get-env': {},
    'get-resource-links': { count: 2 },
    'get-resource-reference': {},
    'get-structured-content': { location: 'Chicago' },
    'get-sum': { a: 1, b: 2 },
    'get-tiny-image': {},
    'trigger-long-running-operation': { duration: 0.01, steps: 1 },
  },
  memory: { read_graph: {}, search_nodes: { query: 'ann' }, open_nodes: { names: ['ann'] } },
} as const;
const WRITES = {
  /** It keeps no state that a probe could show: what is read stays as it is. */
  everything: {
    'gzip-file-as-resource': 'post.state == pre.state',
    'simulate-research-query': 'post.state == pre.state',
    'toggle-simulated-logging': 'post.state == pre.state',
    'toggle-subscriber-updates': 'post.state == pre.state',
  },
  memory: {
    create_entities: 'input.arguments.entities.all(one, post.state.entities.exists(kept, kept.name == one.name))',
    create_relations: 'post.state != pre.state',
    add_observations: 'post.state != pre.state',
    delete_entities: 'input.arguments.entityNames.all(name, !post.state.entities.exists(kept, kept.name == name))',
    delete_observations: 'post.state != pre.state',
    delete_relations: 'post.state != pre.state',
  },
};

/** Tools that change something, with what must be true of the state afterwards. */
function changing(ensured: Readonly<Record<string, string>>, actionType: 'CALL_API' | 'WRITE', state: McpProbe) {
  const declared = Object.entries(ensured).map(([name, ensures]): [string, McpToolOptions] => [
    name,
    { actionType, probes: { state }, ensures: [ensures], changes: ['/state'] },
  ]);
  return Object.fromEntries(declared);
}

function memoryIn(file: string): StdioServer {
  return { ...packaged('server-memory'), env: { MEMORY_FILE_PATH: file } };
}

/** A client of the server itself. */
async function directly({ command, args = [], env }: StdioServer): Promise<Client> {
  const client = new Client({ name: 'direct', version: '1' });
  const given = env === undefined ? {} : { env: env as Record<string, string> };
  await client.connect(new StdioClientTransport({ command, args: [...args], stderr: 'ignore', ...given }));
  closing.push(() => client.close());
  return client;
}

beforeAll(async () => {
  const { folder, remove } = await temporaryFolder();
  root = path.join(folder, 'files');
  await mkdir(root);
  await writeFile(path.join(folder, 'secret.txt'), 'outside');
  const file = { tool: 'read_text_file', at: '/content', absent: ['ENOENT'] };
  const files = await pinnedTool({
    name: 'files',
    environment: 'test',
    server: packaged('server-filesystem', root),
    pins: pinsIn(folder),
    reads: ['read_text_file', 'list_directory'],
    tools: {
      write_file: {
        actionType: 'WRITE',
        probes: { file: { ...file, arguments: { path: '{path}' } } },
        ensures: ['post.file == input.arguments.content'],
        changes: ['/file'],
      },
      move_file: {
        actionType: 'WRITE',
        probes: {
          source: { ...file, arguments: { path: '{source}' } },
          destination: { ...file, arguments: { path: '{destination}' } },
        },
        ensures: ['post.source == null', 'post.destination == pre.source'],
        changes: ['/source', '/destination'],
      },
    },
  });
  const everything = await pinnedTool({
    name: 'everything',
    environment: 'test',
    server: packaged('server-everything', 'stdio'),
    pins: path.join(folder, 'c'),
    reads: Object.keys(READS.everything),
    tools: changing(WRITES.everything, 'CALL_API', { tool: 'get-env', arguments: {} }),
    resources: ['demo://resource/'],
    prompts: ['simple-prompt', 'args-prompt', 'completable-prompt', 'resource-prompt'],
  });
  const memory = await pinnedTool({
    name: 'memory',
    environment: 'test',
    server: memoryIn(path.join(folder, 'memory.jsonl')),
    pins: path.join(folder, 'd'),
    reads: Object.keys(READS.memory),
    tools: changing(WRITES.memory, 'WRITE', { tool: 'read_graph', arguments: {} }),
  });
  notes = await openNotes();
  const server = notesProcess(notes);
  const lookUp = { happened: 'post.note == input.arguments.text' };
  const careful = { ...WRITE_NOTE, idempotency: 'lookup', lookUp } as const;
  const [looked, careless] = await Promise.all([
    pinnedTool({
      name: 'notes',
      environment: 'test',
      server,
      pins: path.join(folder, 'a'),
      tools: { write_note: careful },
    }),
    pinnedTool({
      name: 'careless',
      environment: 'test',
      server,
      pins: path.join(folder, 'b'),
      tools: { write_note: WRITE_NOTE },
    }),
  ]);
  stack = await startStack({
    schema: "CREATE TABLE orders (id int PRIMARY KEY, status text); INSERT INTO orders VALUES (1, 'open')",
    tools: (url) => [shopTool(url), files, everything, memory, looked, careless],
    worker: false,
  });
  await writeFile(path.join(stack.policies, 'files.cedar'), POLICY);
  await stack.startWorker();
  gateway = await startTestGateway(stack);
  dana = await stack.approver('dana', ['dba']);
  direct = {
    everything: await directly(packaged('server-everything', 'stdio')),
    memory: await directly(memoryIn(path.join(folder, 'another-memory.jsonl'))),
  };
  closing.push(
    remove,
    () => notes.stop(),
    () => stack.stop(),
    () => gateway.stop(),
  );
});
afterAll(async () => {
  for (const close of closing.toReversed()) await close();
});

async function connected(
  options: ClientOptions = {},
  key: Partial<ApiKeyOptions> = {},
  to: TestGateway = gateway,
): Promise<Client> {
  const { headers } = await to.agent(key);
  const client = new Client({ name: 'test', version: '1' }, options);
  await client.connect(new StreamableHTTPClientTransport(new URL(`${to.url}/mcp`), { requestInit: { headers } }));
  closing.push(() => client.close());
  return client;
}

/** The command line as a process, as a desktop client starts it. */
const commandLine = (...args: readonly string[]) => ({
  command: process.execPath,
  args: [...argumentsFor(fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))), ...args],
});

const textOf = ({ content }: { content: unknown }) =>
  (content as { type: string; text?: string }[]).map(({ text = '' }) => text).join('\n');
const statusIn = ({ _meta }: { _meta?: Record<string, unknown> | undefined }) =>
  (_meta?.['countersign/action'] ?? {}) as { actionId: string; status: string };

describe.for(ERAS)('a client of %s', ([, options]) => {
  test('is offered what its scopes cover, with schemas of their own', async () => {
    const { tools } = await (await connected(options)).listTools();
    const named = new Map(tools.map((tool) => [tool.name, tool]));
    expect([...named.keys()]).toEqual(
      expect.arrayContaining([
        'await_action',
        'files_write_file',
        'files_read_text_file',
        'shop-db_select',
        'shop-db_sql',
      ]),
    );
    expect(named.get('files_write_file')).toMatchObject({
      inputSchema: { required: ['path', 'content'] },
      annotations: { readOnlyHint: false, destructiveHint: true },
    });
    expect(named.get('shop-db_select')).toMatchObject({
      inputSchema: { required: ['table'] },
      annotations: { readOnlyHint: true },
    });
    const narrow = await (await connected(options, { scopes: ['files:list_*', 'shop-db:sql.select'] })).listTools();
    expect(narrow.tools.map(({ name }) => name)).toEqual([
      'await_action',
      'dry_run',
      'files_list_directory',
      'shop-db_sql',
    ]);
  });

  test('sees whole servers as they are: their tools, resources and prompts, and the same answers', async () => {
    const client = await connected(options);
    const { tools } = await client.listTools();
    const schemas = new Map(tools.map(({ name, inputSchema }) => [name, inputSchema]));
    for (const [name, itself] of Object.entries(direct) as [keyof typeof direct, Client][]) {
      const own = (await itself.listTools()).tools;
      expect(own.map((tool) => tool.name).toSorted()).toEqual(
        [...Object.keys(READS[name]), ...Object.keys(WRITES[name])].toSorted(),
      );
      for (const tool of own) expect(schemas.get(`${name}_${tool.name}`)).toEqual(tool.inputSchema);
    }
    const entities = [{ name: 'ann', entityType: 'person', observations: [randomUUID()] }];
    const forgotten = { entityNames: ['ann'] };
    await direct.memory.callTool({ name: 'delete_entities', arguments: forgotten });
    await client.callTool({ name: 'memory_delete_entities', arguments: forgotten });
    const created = await client.callTool({ name: 'memory_create_entities', arguments: { entities } });
    const { content } = await direct.memory.callTool({ name: 'create_entities', arguments: { entities } });
    expect(created.content).toEqual(content);
    for (const name of ['memory', 'everything'] as const) {
      for (const [tool, args] of Object.entries(READS[name])) {
        const through = await client.callTool({ name: `${name}_${tool}`, arguments: args });
        const { content, structuredContent } = await direct[name].callTool({ name: tool, arguments: args });
        // Its environment is the worker's own.
        if (tool === 'get-env') continue;
        const seen = { tool, content: through.content, structuredContent: through.structuredContent };
        expect(untimed(seen)).toEqual(untimed({ tool, content, structuredContent }));
      }
    }
  });

  test('reads resources and prompts by the methods that the protocol has for them, under policy', async () => {
    const itself = direct.everything;
    const client = await connected(options);
    const [first] = (await itself.listResources()).resources;
    const uri = first?.uri ?? '';
    expect((await client.listResources()).resources).toEqual((await itself.listResources()).resources);
    expect((await client.listResourceTemplates()).resourceTemplates).toEqual(
      (await itself.listResourceTemplates()).resourceTemplates,
    );
    expect((await client.readResource({ uri })).contents).toEqual((await itself.readResource({ uri })).contents);
    const { prompts } = await itself.listPrompts();
    expect((await client.listPrompts()).prompts).toEqual(
      prompts.map((prompt) => ({ ...prompt, name: `everything_${prompt.name}` })),
    );
    const given = { city: 'Bern' };
    const { messages } = await client.getPrompt({ name: 'everything_args-prompt', arguments: given });
    expect(messages).toEqual((await itself.getPrompt({ name: 'args-prompt', arguments: given })).messages);

    await expect(client.readResource({ uri: 'file:///etc/passwd' })).rejects.toThrow('no such resource');
    await expect(client.getPrompt({ name: 'args-prompt', arguments: given })).rejects.toThrow('no such prompt');
    const nobody = await connected(options, { roles: ['nobody'] });
    await expect(nobody.readResource({ uri })).rejects.toThrow(/Denied\. Nothing was done\.[^]*POLICY_DENIED/);
    const narrow = await connected(options, { scopes: ['everything:resource.list'] });
    expect((await narrow.listResources()).resources).toHaveLength((await itself.listResources()).resources.length);
    await expect(narrow.readResource({ uri })).rejects.toThrow('no such resource');
    expect((await narrow.listPrompts()).prompts).toEqual([]);
  });

  test('hears what would come of a call, and nothing is done', async () => {
    const client = await connected(options);
    const file = path.join(root, 'dry.txt');
    const would = (tool: string, args: object) =>
      client.callTool({ name: 'dry_run', arguments: { tool, arguments: args } });
    const allowed = await would('files_write_file', { path: file, content: 'text' });
    expect(allowed).toMatchObject({ structuredContent: { effect: 'allow' } });
    expect(textOf(allowed)).toMatch(/^It would be done at once\..*call files_write_file with the same arguments\.$/s);
    const asked = await would('files_move_file', { source: path.join(root, 'a'), destination: path.join(root, 'b') });
    expect(textOf(asked)).toMatch(
      /wait until people approve it\.\nReason: .*moving files.*\n[^]*Approvals needed: 1 of dba/,
    );
    const escape = await would('files_write_file', { path: file });
    expect(escape).toMatchObject({ structuredContent: { effect: 'deny', error: { code: 'INVALID_INPUT' } } });
    expect(escape.isError).toBeUndefined();
    await expect(readFile(file)).rejects.toThrow('ENOENT');
    await expect(would('nowhere', {})).rejects.toThrow('no such tool');
  });

  test('has what an allowed call returns, verified', async () => {
    const client = await connected(options);
    const file = path.join(root, 'a.txt');
    const written = await client.callTool({ name: 'files_write_file', arguments: { path: file, content: 'text' } });
    expect(written.isError).toBeUndefined();
    expect(statusIn(written)).toMatchObject({ status: 'success' });
    expect(await readFile(file, 'utf8')).toBe('text');
    const read = await client.callTool({ name: 'files_read_text_file', arguments: { path: file } });
    expect(read).toMatchObject({ content: [{ type: 'text', text: 'text' }], structuredContent: { content: 'text' } });
    const rows = await client.callTool({ name: 'shop-db_select', arguments: { table: 'orders' } });
    expect(JSON.stringify(rows.structuredContent)).toContain('open');
  });

  test('is told why a call is denied, and that the same again is of no use', async () => {
    const client = await connected(options, { roles: ['nobody'] });
    const denied = await client.callTool({ name: 'shop-db_delete', arguments: { table: 'orders', where: { id: 1 } } });
    expect(denied.isError).toBe(true);
    expect(statusIn(denied).status).toBe('denied');
    expect(textOf(denied)).toMatch(/The same call again is denied again[^]*Reason: [^]*Code: POLICY_DENIED/);
    const escaped = await client.callTool({
      name: 'files_read_text_file',
      arguments: { path: `${root}/../secret.txt` },
    });
    expect([escaped.isError, textOf(escaped)]).toEqual([true, expect.stringContaining('Access denied')]);
    const misspelt = await client.callTool({ name: 'files_read_text_file', arguments: { file: 'x' } });
    expect(textOf(misspelt)).toContain('INVALID_INPUT');
    await expect(client.callTool({ name: 'files_rename', arguments: {} })).rejects.toThrow(/no such tool/);
  });

  test('gets what people decided: with the call where it hears of progress, else from await_action', async () => {
    const client = await connected(options);
    const actionId = options === MODERN ? 'move-new' : 'move-old';
    const [source, destination] = [path.join(root, `${actionId}.txt`), path.join(root, `${actionId}-moved.txt`)];
    await writeFile(source, 'moved');
    const heard: (string | undefined)[] = [];
    const _meta = { 'countersign/idempotencyKey': actionId, traceparent: TRACE };
    const moving = client.callTool(
      { name: 'files_move_file', arguments: { source, destination }, _meta },
      { onprogress: ({ message }) => heard.push(message) },
    );
    await until(
      async () => heard.length,
      (count) => count > 0,
    );
    const operator = await stack.agent();
    const { pending } = await operator.view(actionId);
    expect(pending?.shown.proposal.traceId).toBe(TRACE.split('-')[1]);
    await stack.decide({ tenant: 'acme', actionId, pending } as never, dana);
    const moved = await moving;
    expect(statusIn(moved)).toMatchObject({ actionId, status: 'success' });
    expect(heard[0]).toContain('waits for people');
    const again = await client.callTool({ name: 'files_move_file', arguments: { source, destination }, _meta });
    expect(statusIn(again)).toEqual(statusIn(moved));
    const awaited = await client.callTool({ name: 'await_action', arguments: { actionId } });
    expect(statusIn(awaited)).toMatchObject({ actionId, status: 'success' });
    expect(await readFile(destination, 'utf8')).toBe('moved');
  });
});

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

test('a server that dies in mid-call is looked at: what it did is verified, and what nobody can know is not repeated', async () => {
  const client = await connected(MODERN);
  const write = (tool: string, id: string) =>
    client.callTool({ name: `${tool}_write_note`, arguments: { id, text: 'die-after' } });
  expect(statusIn(await write('notes', 'looked-up')).status).toBe('success');
  const lost = await write('careless', 'lost');
  expect([lost.isError, statusIn(lost).status]).toEqual([true, 'unknown']);
  expect(textOf(lost)).toContain('Do not repeat the call');
  expect([notes.read('looked-up'), notes.read('lost')]).toEqual(['die-after', 'die-after']);
  const writes = notes.calls().filter(({ name }) => name === 'write_note');
  expect(writes).toHaveLength(2);
});

describe.for(ERAS)('a call of a client of %s that waits for people', ([era, options]) => {
  test('answers after its wait that it is pending and what to do, and await_action gets the outcome', async () => {
    const hurried = await startTestGateway(stack, { gateway: { limits: { callWaitMs: 100 } } });
    closing.push(() => hurried.stop());
    const client = await connected(options, {}, hurried);
    const actionId = `pending-${era}`;
    const [source, destination] = [path.join(root, `${actionId}.txt`), path.join(root, `${actionId}-moved.txt`)];
    await writeFile(source, 'moved');
    const _meta = { 'countersign/idempotencyKey': actionId };
    const move = { name: 'files_move_file', arguments: { source, destination }, _meta };
    const waits = await client.callTool(move);
    expect(waits.isError).toBeUndefined();
    expect(statusIn(waits)).toEqual({ actionId, status: 'pending' });
    expect(waits.structuredContent).toMatchObject({ status: 'pending', pending: { missing: [{ roles: ['dba'] }] } });
    expect(textOf(waits)).toMatch(
      /^It is not done yet: people have to approve it: .*moving files.*\. They have until \d{4}-.*\.\nDo not call the tool again\./,
    );
    expect(textOf(waits)).toContain(`call await_action with {"actionId":"${actionId}"}`);
    const awaiting = { name: 'await_action', arguments: { actionId } };
    expect(statusIn(await client.callTool(awaiting))).toEqual({ actionId, status: 'pending' });
    await expect(readFile(destination)).rejects.toThrow('ENOENT');

    const { pending } = await (await stack.agent()).view(actionId);
    await stack.decide({ tenant: 'acme', actionId, pending } as never, dana);
    const moved = await until(
      () => client.callTool(awaiting),
      (answer) => statusIn(answer).status !== 'pending',
    );
    expect(statusIn(moved)).toMatchObject({ actionId, status: 'success' });
    expect(textOf(moved)).not.toBe('');
    expect(await readFile(destination, 'utf8')).toBe('moved');
  });
});

test('a call that is cancelled cancels its action, and another agent can neither see nor await it', async () => {
  const client = await connected(MODERN);
  const stop = new AbortController();
  const key = 'to-be-cancelled';
  const params = {
    name: 'files_move_file',
    arguments: { source: path.join(root, 'a.txt'), destination: path.join(root, 'z.txt') },
    _meta: { 'countersign/idempotencyKey': key },
  };
  let heard = 0;
  const call = client.callTool(params, { signal: stop.signal, onprogress: () => heard++ });
  await until(
    async () => heard,
    (count) => count > 0,
  );
  for (const other of [{ agent: 'agent-2' }, { tenant: 'umbrella' }]) {
    const stranger = await connected(MODERN, other);
    const awaited = await stranger.callTool({ name: 'await_action', arguments: { actionId: key } });
    expect([awaited.isError, textOf(awaited)]).toEqual([true, expect.stringContaining('NOT_FOUND')]);
  }
  stop.abort();
  await expect(call).rejects.toThrow(/abort/i);
  const operator = await stack.agent();
  expect((await operator.outcome(key)).status).toBe('cancelled');
});

test('the same call by another agent, under the same key, is a conflict and tells nothing of what came of the first', async () => {
  const file = path.join(root, 'own.txt');
  await writeFile(file, 'for agent-1');
  const params = {
    name: 'files_read_text_file',
    arguments: { path: file },
    _meta: { 'countersign/idempotencyKey': 'read-once' },
  };
  const client = await connected(MODERN);
  const first = await client.callTool(params);
  expect(textOf(first)).toBe('for agent-1');
  const stranger = await connected(MODERN, { agent: 'agent-2' });
  const second = await stranger.callTool(params);
  expect([second.isError, textOf(second)]).toEqual([true, expect.stringContaining('ACTION_CONFLICT')]);
  expect(JSON.stringify(second)).not.toContain('for agent-1');
  const awaited = await stranger.callTool({ name: 'await_action', arguments: { actionId: 'read-once' } });
  expect([awaited.isError, textOf(awaited)]).toEqual([true, expect.stringContaining('NOT_FOUND')]);
  expect(textOf(await client.callTool(params))).toBe('for agent-1');
});

describe('a client that has the tasks extension', () => {
  async function withTasks(key: Partial<ApiKeyOptions> = {}) {
    const client = await connected(MODERN, key);
    const { headers } = await gateway.agent(key);
    const session = tasksOf(client, gateway.url, headers);
    closing.push(() => session.close());
    return { session, headers };
  }
  const source = (name: string): string => path.join(root, `${name}.txt`);

  /** Begins to move a file, which people have to approve, under this name. */
  async function moving(session: TaskEnabledSession, taskId: string) {
    await writeFile(source(taskId), 'moved');
    const args = { source: source(taskId), destination: source(`${taskId}-moved`) };
    const metadata = { 'countersign/idempotencyKey': taskId };
    const execution = await session.callTool('files_move_file', args, { metadata });
    if (execution.kind !== 'task') throw new Error('it answered at once');
    expect(execution.handle.taskId).toBe(taskId);
    return execution;
  }
  async function decided(actionId: string, verdict: 'approve' | 'deny'): Promise<void> {
    const { pending } = await (await stack.agent()).view(actionId);
    await stack.decide({ tenant: 'acme', actionId, pending } as never, dana, verdict);
  }

  test('has what is allowed at once, and else a task that another process goes on with', async () => {
    const { session } = await withTasks();
    const at = await session.callTool('files_list_directory', { path: root });
    expect(at.kind).toBe('immediate');
    const began = performance.now();
    const execution = await moving(session, 'task-approved');
    // It does not wait as long as a call does.
    expect(performance.now() - began).toBeLessThan(15_000);
    const reference = execution.serializeReference();
    await execution.detach();
    await decided('task-approved', 'approve');
    const later = await (await withTasks()).session.resumeTask(reference);
    const result = resultFromTaskOutcome((await later.settle()).outcome);
    expect(statusIn(result as never)).toMatchObject({ actionId: 'task-approved', status: 'success' });
    expect(await readFile(source('task-approved-moved'), 'utf8')).toBe('moved');
  });

  test('reads why people said no, and cancels by its task; what it sends to a task decides nothing', async () => {
    const { session } = await withTasks();
    const refused = await moving(session, 'task-denied');
    const task = session.task(refused.handle.taskId);
    await task.updateJson({ approval: { action: 'accept', content: { approved: true } } });
    const { status, statusMessage } = await task.snapshot();
    expect([status, statusMessage]).toEqual(['working', expect.stringContaining('people have to approve it')]);
    await decided('task-denied', 'deny');
    const told = resultFromTaskOutcome((await refused.settle()).outcome) as CallToolResult;
    expect([told.isError, textOf(told)]).toEqual([true, expect.stringContaining('DENIED')]);

    const unwanted = await moving(session, 'task-cancelled');
    await unwanted.cancel();
    expect((await unwanted.result()).status).toBe('cancelled');
    expect((await (await stack.agent()).outcome('task-cancelled')).status).toBe('cancelled');
    expect(await readFile(source('task-cancelled'), 'utf8')).toBe('moved');
  });

  test('sees its own tasks only, and says with each request that it has them', async () => {
    const { session, headers } = await withTasks();
    const { handle } = await moving(session, 'task-own');
    for (const other of [{ agent: 'agent-2' }, { tenant: 'umbrella' }]) {
      const stranger = (await withTasks(other)).session.task(handle.taskId);
      for (const attempt of [() => stranger.snapshot(), () => stranger.cancel(), () => stranger.updateJson({})])
        await expect(attempt()).rejects.toMatchObject({ code: -32602 });
    }
    const args = { source: source('task-own'), destination: source('task-own-moved') };
    const metadata = { 'countersign/idempotencyKey': 'task-own' };
    const same = await (await withTasks({ agent: 'agent-2' })).session.callTool('files_move_file', args, { metadata });
    expect(same.kind).toBe('immediate');
    const refused = resultFromTaskOutcome(await same.result()) as CallToolResult;
    expect([refused.isError, textOf(refused)]).toEqual([true, expect.stringContaining('ACTION_CONFLICT')]);
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', [CLIENT_CAPABILITIES_META_KEY]: {} };
    for (const method of ['tasks/get', 'tasks/cancel', 'tasks/update']) {
      const params = { taskId: handle.taskId, inputResponses: {}, _meta: meta };
      const answer = await sendAsIs(gateway.url, headers, { method, params });
      expect(answer).toMatchObject({ error: { code: -32021 } });
    }
    expect((await session.task(handle.taskId).snapshot()).status).toBe('working');
    await session.cancelTask(handle.taskId);
  });
});

test('every operation has a name of its own, which model providers take', () => {
  const operation = (name: string): OperationDescription => ({
    operation: name,
    description: '',
    actionType: 'READ',
    idempotent: true,
    arguments: {},
    fixed: {},
  });
  const tool = (name: string, ...operations: readonly string[]) => ({
    name,
    kind: 'mcp',
    environment: 'test',
    operations: operations.map(operation),
  });
  const catalogue = [
    tool('a', 'b_c', 'b.c', 'x'.repeat(63)),
    tool('a_b', 'c'),
    tool('await', 'action'),
    tool('z', 'y'),
    { ...tool('files', 'read', 'await_action', 'move', 'z_y'), ownNames: true },
    { ...tool('mail', 'move', 'send'), ownNames: true },
  ];
  const names = offeredTo({ scopes: ['*'] }, catalogue, new Set(['await_action'])).map(({ name }) => name);
  expect(new Set(names).size).toBe(12);
  expect(names.filter((name) => !/^[\w-]{1,64}$/.test(name) || name === 'await_action')).toEqual([]);
  // Where a name is taken, the tool's own goes before it.
  const own = ['read', 'files_await_action', 'files_move', 'files_z_y', 'mail_move', 'send'];
  expect(names).toEqual(expect.arrayContaining([...own, 'z_y']));
  // A name does not depend on what else somebody may name.
  expect(offeredTo({ scopes: ['a_b'] }, catalogue, new Set()).map(({ name }) => name)).toEqual([
    expect.stringMatching(/^a_b_c_[0-9a-f]{8}$/),
  ]);
});

const ACCEPT = { accept: 'application/json, text/event-stream' };

test('the same JSON-RPC id twice makes two actions, and what is no request of MCP is refused', async () => {
  const agent = await gateway.agent();
  const send = (json: unknown) => agent.send('POST', '/mcp', { json, headers: ACCEPT });
  const call = {
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'files_list_directory', arguments: { path: root } },
  };
  const [one, other] = await Promise.all([send(call), send(call)]);
  const ids = [one, other].map(({ text }) => /mcp-[0-9a-f-]{36}/.exec(text)?.[0]);
  expect([ids[0], ids[1]]).toEqual([expect.any(String), expect.any(String)]);
  expect(ids[0]).not.toBe(ids[1]);
  let deep: unknown = 'x';
  for (let level = 0; level < 200; level++) deep = [deep];
  const nested = await send({ ...call, params: { name: 'files_list_directory', arguments: { path: root, deep } } });
  expect(nested.text).toMatch(/INVALID_/);
  expect((await send([])).status).toBeGreaterThanOrEqual(400);
  const headers = { ...ACCEPT, 'content-type': 'application/json' };
  expect((await agent.send('POST', '/mcp', { body: '{', headers })).status).toBe(400);
  const fromElsewhere = { ...ACCEPT, origin: 'http://evil.example' };
  expect(await agent.send('POST', '/mcp', { json: call, headers: fromElsewhere })).toMatchObject({
    status: 403,
    body: { code: 'FORBIDDEN', field: 'origin' },
  });
});

test('each message of a list counts as a request', async () => {
  const small = await startTestGateway(stack, { gateway: { limits: { requestsPerMinute: 5 } } });
  try {
    const agent = await small.agent({ agent: 'in-lists' });
    const params = { name: 'files_list_directory', arguments: { path: root } };
    const send = (length: number) =>
      agent.send('POST', '/mcp', {
        json: Array.from({ length }, (_, id) => ({ jsonrpc: '2.0', id, method: 'tools/call', params })),
        headers: ACCEPT,
      });
    const few = await send(2);
    expect([few.status, few.text.match(/"status":"success"/g)?.length]).toEqual([200, 2]);
    expect(await send(4)).toMatchObject({ status: 429, body: { code: 'RATE_LIMITED' } });
    const { actions } = await stack.ledger.archive.search({ tenant: 'acme', agent: 'in-lists' });
    expect(actions).toHaveLength(2);
  } finally {
    await small.stop();
  }
});

test('countersign mcp serves the same on stdin and stdout, and ends with its client', async () => {
  const { headers } = await gateway.agent();
  const env = {
    COUNTERSIGN_GATEWAY_URL: gateway.url,
    COUNTERSIGN_API_KEY: (headers['authorization'] ?? '').replace('Bearer ', ''),
  };
  for (const [, options] of ERAS) {
    const client = new Client({ name: 'desktop', version: '1' }, options);
    const transport = new StdioClientTransport({ ...commandLine('mcp'), env, stderr: 'inherit' });
    await client.connect(transport);
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(['await_action', 'files_write_file']));
    const read = await client.callTool({ name: 'files_list_directory', arguments: { path: root } });
    expect(statusIn(read).status).toBe('success');
    const [first] = (await client.listResources()).resources;
    const { contents } = await client.readResource({ uri: first?.uri ?? '' });
    expect(contents).toMatchObject([{ uri: first?.uri }]);
    await expect(client.readResource({ uri: 'file:///etc/passwd' })).rejects.toThrow('no such resource');
    expect((await client.listPrompts()).prompts.map(({ name }) => name)).toContain('everything_args-prompt');
    const { messages } = await client.getPrompt({ name: 'everything_args-prompt', arguments: { city: 'Bern' } });
    expect(JSON.stringify(messages)).toContain('Bern');
    await hearsOfOtherTools(client);
    await client.close();
    expect(transport.pid).toBeNull();
  }
});

/** Another catalogue is published, as by a worker that starts with other tools, until the client has heard of it. */
async function hearsOfOtherTools(client: Client): Promise<void> {
  const { catalogue } = stack.ledger;
  const { taskQueue } = stack.temporal;
  const all = await catalogue.tools(taskQueue);
  let heard = 0;
  client.setNotificationHandler('notifications/tools/list_changed', () => void heard++);
  const listening = client.getProtocolEra() === 'modern' ? await client.listen({ toolsListChanged: true }) : undefined;
  for (const offered of [all.filter(({ name }) => name !== 'careless'), all]) {
    const before = heard;
    // In another order too: nobody knows when the gateway has looked first.
    let other = offered;
    await until(
      async () => {
        other = other.toReversed();
        await catalogue.publish(taskQueue, other);
        return heard;
      },
      (now) => now > before,
      { everyMs: 100 },
    );
    await catalogue.publish(taskQueue, offered);
    const { tools } = await client.listTools(undefined, { cacheMode: 'refresh' });
    expect(tools.some(({ name }) => name === 'careless_write_note')).toBe(offered === all);
  }
  await listening?.close();
}

test('a client of 2026-07-28 that listens hears of other tools, and of nothing else; one of 2025-11-25 cannot listen', async () => {
  const own = await startTestGateway(stack, { gateway: { limits: { streams: 1 } } });
  const client = await connected(MODERN, {}, own);
  await hearsOfOtherTools(client);
  const wanted = { toolsListChanged: true, promptsListChanged: true, resourceSubscriptions: ['demo://resource/1'] };
  const { honoredFilter, closed } = await client.listen(wanted);
  expect(honoredFilter).toEqual({ toolsListChanged: true });
  // One stream of events for each sender, in this gateway.
  await expect(client.listen(wanted)).rejects.toThrow('429');
  const old = await connected(ERAS[0][1], {}, own);
  expect(old.getServerCapabilities()?.tools).toEqual({});
  await own.stop();
  expect(await closed).toBe('graceful');
});

test('whoever has no credential is told where to get one', async () => {
  const refused = await gateway.nobody.post('/mcp', {});
  expect(refused.status).toBe(401);
  const [, url = ''] = /resource_metadata="([^"]+)"/.exec(refused.headers.get('www-authenticate') ?? '') ?? [];
  const metadata = await gateway.nobody.get(new URL(url).pathname);
  expect(metadata.body).toMatchObject({ resource: `${gateway.url}/mcp`, bearer_methods_supported: ['header'] });
  const bad = gateway.sender({ authorization: 'Bearer csa_nobody_nothing' });
  expect((await bad.post('/mcp', {})).headers.get('www-authenticate')).toContain('resource_metadata');
  const person = await gateway.person();
  expect((await person.post('/mcp', {})).status).toBe(403);
});

/** Without the time of day at which a resource was made: asked twice, the second is of another second. */
function untimed(answer: object): unknown {
  return JSON.parse(JSON.stringify(answer).replaceAll(/created at [\d:]+ [AP]M/g, 'created'));
}
