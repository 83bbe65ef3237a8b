/** The official conformance suite of MCP against a server, and against the same server behind Countersign: what passes directly passes through it. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withoutUndefined } from '../../src/action/json.js';
import { startTestGateway } from '../support/gateway.js';
import { node22With } from '../support/node22.js';
import { startStack } from '../support/stack.js';
import { pinnedTool, pinsIn, temporaryFolder } from '../tools/mcp-support.js';
import { PROMPTS, startConformanceServer, TOOLS, type Listening } from './conformance-server.js';

const SUITE = '@modelcontextprotocol/conformance@0.1.16';

const POLICY = '@id("all-is-permitted") permit (principal, action, resource);';

const closing: (() => Promise<void>)[] = [];
let suite: (url: string) => Promise<ReadonlyMap<string, boolean>>;
let server: Listening;
let behind: Listening;

beforeAll(async () => {
  const installing = installed();
  void installing.catch(() => undefined);
  server = await startConformanceServer();
  const { folder, remove } = await temporaryFolder();
  const tool = await pinnedTool({
    name: 'conformance',
    environment: 'test',
    server: { url: server.url, allow: { loopback: true } },
    pins: pinsIn(folder),
    reads: TOOLS,
    tools: {},
    resources: ['test://'],
    prompts: Object.keys(PROMPTS),
    ownNames: true,
  });
  const stack = await startStack({ schema: 'SELECT 1', tools: () => [tool], worker: false });
  await writeFile(path.join(stack.policies, 'all.cedar'), POLICY);
  await stack.startWorker();
  const gateway = await startTestGateway(stack, { gateway: { limits: { requestsPerMinute: 1_000_000 } } });
  const { headers } = await gateway.agent();
  behind = await authenticating(gateway.url, headers['authorization'] ?? '');
  closing.push(
    () => server.stop(),
    remove,
    () => stack.stop(),
    () => gateway.stop(),
    () => behind.stop(),
  );
  suite = await installing;
}, 600_000);
afterAll(async () => {
  for (const close of closing.toReversed()) await close();
});

test('whatever passes directly passes through Countersign', async () => {
  const direct = await suite(server.url);
  const passed = [...direct].filter(([, ok]) => ok).map(([scenario]) => scenario);
  expect(passed.length).toBeGreaterThanOrEqual(20);
  const through = await suite(behind.url);
  expect(passed.filter((scenario) => through.get(scenario) !== true)).toEqual([]);
}, 300_000);

/** @returns what runs the suite against a server: by scenario, whether it passed. Scenarios that check nothing are left out. */
async function installed(): Promise<typeof suite> {
  const { node, modules } = await node22With('mcp', [SUITE]);
  const program = path.join(modules, '@modelcontextprotocol/conformance/dist/index.js');
  return async (url) => {
    const args = [program, 'server', '--url', url, '--suite', 'all'];
    // It exits with 1 when any scenario fails.
    const { stdout } = await promisify(execFile)(node, args, { timeout: 250_000 }).catch(
      (ended: { stdout: string }) => ended,
    );
    const lines = [...stdout.matchAll(/^[✓✗] ([\w-]+): (\d+) passed, (\d+) failed/gm)];
    const checked = lines.filter(([, , passes, failures]) => Number(passes) + Number(failures) > 0);
    return new Map(checked.map(([, scenario = '', , failures]) => [scenario, failures === '0']));
  };
}

/** The suite has no credentials: what it asks under the name of this place is asked in the name of an agent. */
async function authenticating(url: string, authorization: string): Promise<Listening> {
  const { host, port } = new URL(url);
  const proxy = createServer((asked, response) => {
    // Who names another place than this one goes on naming it.
    const named = (name: 'host' | 'origin') =>
      asked.headers[name]?.replace(new RegExp(`(?:127\\.0\\.0\\.1|localhost):${own()}`), host);
    const headers = withoutUndefined({ ...asked.headers, host: named('host'), origin: named('origin'), authorization });
    const options = { port, path: asked.url, method: asked.method, headers };
    const passed = request(options, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    passed.on('error', () => response.destroy());
    asked.pipe(passed);
  });
  const own = (): number => (proxy.address() as AddressInfo).port;
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${own()}/mcp`,
    async stop() {
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}
