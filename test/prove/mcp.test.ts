/** An `mcp` tool is proven through the relay on a sandbox of its server: one that is a process, and one that is reached over HTTP. */
import { createServer, request, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { cp, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { prove } from '../../src/prove/prove.js';
import type { ProvenReport } from '../../src/prove/report.js';
import { startRelay } from '../../src/prove/scratch/relay.js';
import { neutral } from '../../src/prove/scratch/servers.js';
import type { McpOptions } from '../../src/tools/index.js';
import { openNotes, type Notes } from '../support/mcp-notes.js';
import { STARTER } from '../support/stack.js';
import { DELETE_NOTE, notesProcess, pinnedTool, pinsIn, temporaryFolder, WRITE_NOTE } from '../tools/mcp-support.js';

const WRITERS = `@id("writers") permit (principal in Countersign::Role::"writer", action == Countersign::Action::"WRITE", resource);`;
const TOKEN = 'COUNTERSIGN_TEST_NOTES_TOKEN';

let own: Notes;
let sandbox: Notes;
let folder: string;
let remove: () => Promise<void>;

beforeAll(async () => {
  [own, sandbox, { folder, remove }] = await Promise.all([openNotes(), openNotes(), temporaryFolder()]);
  process.env[TOKEN] = 'the-token-of-production';
  await cp(STARTER, path.join(folder, 'policies'), { recursive: true });
  await writeFile(path.join(folder, 'policies', 'writers.cedar'), WRITERS);
});
afterAll(async () => {
  delete process.env[TOKEN];
  await Promise.all([own.stop(), sandbox.stop(), remove()]);
});

async function proven(server: McpOptions['server'], only: readonly string[]): Promise<ProvenReport> {
  const tool = await pinnedTool({
    name: 'notes',
    environment: 'production',
    server,
    pins: pinsIn(folder),
    reads: ['read_note'],
    tools: { write_note: WRITE_NOTE, delete_note: DELETE_NOTE },
  });
  try {
    return await prove({
      config: { policies: path.join(folder, 'policies'), tools: [tool] },
      configFile: path.join(folder, 'countersign.config.mjs'),
      env: neutral(process.env),
      developmentKeys: path.join(folder, 'keys.json'),
      tenant: 'countersign-prove',
      scratchDatabase: inject('postgresUrl'),
      scratchTemporal: inject('temporalAddress'),
      sandboxes: { notes: sandbox.url },
      schemas: {},
      only,
      log: () => {},
      told: () => {},
    });
  } finally {
    await tool.close();
  }
}

const overHttp = (): McpOptions['server'] => ({
  url: own.url,
  headers: { authorization: { secret: `env:${TOKEN}`, prefix: 'Bearer ' } },
  allow: { loopback: true },
});

describe.each<[string, () => McpOptions['server']]>([
  ['is a process', () => notesProcess(own)],
  ['is reached over HTTP', overHttp],
])('whose server %s', (_, server) => {
  test('is proven on the sandbox alone, with the pins that were accepted of its own server', async () => {
    const [before, there] = [own.calls().length, sandbox.calls().length];
    const report = await proven(server(), ['one-proposal-one-effect', 'mismatches-are-told', 'secrets-are-nowhere']);
    expect(report.guarantees.map(({ status, detail }) => ({ status, detail }))).toEqual([
      { status: 'holds', detail: 'A change that was proposed 5 times at once and once more had one effect on notes.' },
      { status: 'holds', detail: 'An effect on notes that is not what was promised was told as a mismatch.' },
      { status: 'holds', detail: expect.any(String) as string },
    ]);
    expect(own.calls()).toHaveLength(before);
    expect(sandbox.calls().slice(there)).toContainEqual(expect.objectContaining({ name: 'write_note' }));
  }, 60_000);
});

test('a sandbox of another version than was accepted is not tried, and the report says so', async () => {
  sandbox.redefine({ write_note: { description: 'Writes a note, and publishes it.' } });
  await expect(proven(overHttp(), ['one-proposal-one-effect'])).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('its sandbox does not describe write_note as it was accepted') as string,
  });
  sandbox.redefine({});
}, 60_000);

test('a stream of events ends at the sandbox when whoever listens to it goes', async () => {
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => (end = resolve));
  const server = createServer((_, response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
    response.once('close', () => end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const relay = await startRelay(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp?of=notes`, new Set());
  try {
    expect(new URL(relay.url)).toMatchObject({ pathname: '/mcp', search: '?of=notes' });
    const listening = request(relay.url).end();
    const [answer] = (await once(listening, 'response')) as [NodeJS.ReadableStream];
    await once(answer, 'data');
    listening.destroy();
    await ended;
  } finally {
    await relay.close();
    server.closeAllConnections();
    server.close();
  }
});
