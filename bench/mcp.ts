/**
 * What a call through Countersign costs: a read tool and a write tool of server-filesystem, called directly (the official client on the
 * server's standard streams) and through a gateway's `/mcp` with a worker behind it, in turns in one run; and a bare Temporal workflow with
 * one regular activity, which is the floor of anything that is durable.
 *
 * Not measured: a network between the parts, a production Temporal cluster, people, large results.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import pino from 'pino';
import { Countersign } from '../src/client/countersign.js';
import { startGateway } from '../src/gateway/server/server.js';
import { ApiKeys } from '../src/gateway/store/api-keys.js';
import { Database } from '../src/ledger/index.js';
import { mcp as mcpTool, type McpOptions } from '../src/tools/index.js';
import { accept } from '../src/tools/mcp/pinning.js';
import type { Tool } from '../src/tools/tool.js';
import { BARE, startBareWorker } from './bare.js';
import { onStage, say, startGuard } from './stage.js';
import { median, quantile, round } from './statistics.js';

const WARM_UP = 20;
const ROUNDS = 100;
const COMPARED = ['readDirect', 'readGated', 'writeDirect', 'writeGated', 'bare'] as const;
type Compared = (typeof COMPARED)[number];

const POLICY = `@id("files") permit (principal, action, resource == Countersign::Tool::"files");`;

export async function mcp(args: readonly string[]): Promise<void> {
  await onStage({ durable: true }, async (servers, folder) => {
    const files = path.join(folder, 'files');
    await mkdir(files);
    const server = { command: process.execPath, args: [filesystemServer(), files] };
    const tool = await pinned({ server, pins: path.join(folder, 'pins.json') });
    const { address, namespace } = servers.temporal;
    const temporal = { address, namespace, taskQueue: 'mcp' };
    const { worker, keyring } = await startGuard(servers, folder, {
      temporal,
      file: 'files.cedar',
      text: POLICY,
      tools: [tool],
    });
    const logger = pino({ level: 'warn' }, pino.destination(2));
    const { url } = servers.postgres;
    const gateway = await startGateway({ config: { gateway: { port: 0 } }, temporal, ledgerUrl: url, keyring, logger });
    const database = new Database({ url });
    const key = await new ApiKeys(database).create({ agent: 'bench', tenant: 'bench', roles: [], scopes: ['*'] });
    const requestInit = { headers: { authorization: `Bearer ${key.text}` } };
    const [direct, gated] = [new Client(IDENTITY), new Client(IDENTITY, MODERN)];
    await direct.connect(new StdioClientTransport({ ...server, stderr: 'ignore' }));
    await gated.connect(new StreamableHTTPClientTransport(new URL(`${gateway.url}/mcp`), { requestInit }));
    const temporalClient = await Countersign.connect({ ...temporal, credential: null });
    const bare = await startBareWorker(servers, async (id, plan) => {
      await writeFile(path.join(files, 'bare.txt'), `${plan} ${id}`);
      return 1;
    });

    const read = { path: path.join(files, 'read.txt') };
    await direct.callTool({ name: 'write_file', arguments: { ...read, content: 'read me' } });
    const write = (n: number) => ({ path: path.join(files, 'written.txt'), content: `number ${n}` });
    const runs: Readonly<Record<Compared, (n: number) => Promise<unknown>>> = {
      readDirect: () => called(direct, 'read_text_file', read),
      readGated: () => called(gated, 'files_read_text_file', read),
      writeDirect: (n) => called(direct, 'write_file', write(2 * n)),
      writeGated: (n) => called(gated, 'files_write_file', write(2 * n + 1)),
      bare: (n) =>
        temporalClient.temporal.workflow.execute('bareWrite', {
          taskQueue: BARE,
          workflowId: `bare-${n}`,
          args: [n, 'number'],
        }),
    };
    const times: Record<Compared, number[]> = {
      readDirect: [],
      readGated: [],
      writeDirect: [],
      writeGated: [],
      bare: [],
    };
    say(`${WARM_UP} of each to warm up, then ${ROUNDS} of each, in turn`);
    for (let round = -WARM_UP; round < ROUNDS; round++) {
      for (const name of COMPARED) {
        const start = performance.now();
        await runs[name](round + WARM_UP);
        if (round >= 0) times[name].push(performance.now() - start);
      }
    }
    report(times, args.includes('--json'));
    await Promise.all([direct.close(), gated.close()]);
    await gateway.stop();
    await bare.stop();
    await worker.stop();
    await temporalClient.close();
    await database.close();
  });
}

const IDENTITY = { name: 'bench', version: '1' };
const MODERN = { versionNegotiation: { mode: { pin: '2026-07-28' } } } as const;

function filesystemServer(): string {
  return fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-filesystem/dist/index.js'));
}

/** A call that is not done measures nothing. */
async function called(client: Client, name: string, args: Readonly<Record<string, string>>): Promise<void> {
  const { isError, content } = await client.callTool({ name, arguments: args });
  if (isError === true) throw new Error(`${name}: ${JSON.stringify(content)}`);
}

async function pinned(where: Pick<McpOptions, 'server' | 'pins'>): Promise<Tool> {
  const file = { tool: 'read_text_file', arguments: { path: '{path}' }, at: '/content', absent: ['ENOENT'] };
  const options: McpOptions = {
    ...where,
    name: 'files',
    environment: 'production',
    reads: ['read_text_file'],
    tools: {
      write_file: {
        actionType: 'WRITE',
        probes: { file },
        ensures: ['post.file == input.arguments.content'],
        changes: ['/file'],
      },
    },
  };
  const tool = mcpTool(options);
  const { pinning } = tool;
  if (pinning !== undefined) await accept('files', pinning, await pinning.offered(AbortSignal.timeout(30_000)));
  await tool.close();
  return mcpTool(options);
}

function report(times: Readonly<Record<Compared, readonly number[]>>, json: boolean): void {
  const p50 = (name: Compared): number => median(times[name]);
  const added = { read: p50('readGated') - p50('readDirect'), write: p50('writeGated') - p50('writeDirect') };
  const result = {
    ...Object.fromEntries(COMPARED.map((name) => [`${name}P50Ms`, round(p50(name), 1)])),
    ...Object.fromEntries(COMPARED.map((name) => [`${name}P95Ms`, round(quantile(times[name], 0.95), 1)])),
    readAddedMs: round(added.read, 1),
    writeAddedMs: round(added.write, 1),
    readAddedOfBare: round(added.read / p50('bare')),
    writeAddedOfBare: round(added.write / p50('bare')),
  };
  if (!json) {
    for (const what of ['read', 'write'] as const) {
      const [direct, gated] = [round(p50(`${what}Direct`), 1), round(p50(`${what}Gated`), 1)];
      say(
        `${what.padEnd(6)} direct ${direct} ms   gated ${gated} ms   ${round(added[what] / p50('bare'))} of a bare workflow added`,
      );
    }
    say(`bare   ${round(p50('bare'), 1)} ms`);
  }
  console.log(JSON.stringify(result));
}
