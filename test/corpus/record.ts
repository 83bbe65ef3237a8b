/** Records the corpus: at least 2,000 decisions made by scripted agents through the whole pipeline, into one file. Not part of `npm test`. */
import { cp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Countersign } from '../../src/client/countersign.js';
import { packRecording, writeRecording } from '../../src/decisions/file.js';
import { decisionsOf } from '../../src/decisions/from-ledger.js';
import type { Tool } from '../../src/tools/tool.js';
import type { Credential } from '../../src/trust/index.js';
import { openNotes } from '../support/mcp-notes.js';
import { shopTool, startStack, type Stack } from '../support/stack.js';
import { openPayments, type Payments } from '../tools/http-payments.js';
import { toolOn } from '../tools/http-support.js';
import { pinnedTool, pinsIn, temporaryFolder, WRITE_NOTE } from '../tools/mcp-support.js';
import { AGENTS, seeded, verdictOf, type ScriptedAgent } from './agents.js';

const folder = path.dirname(fileURLToPath(import.meta.url));
const file = path.join(folder, 'decisions.jsonl.gz');

const SCHEMA = `
  CREATE TABLE orders (id int PRIMARY KEY, status text NOT NULL);
  INSERT INTO orders SELECT n, 'new' FROM generate_series(1, 400) n;
  CREATE TABLE customers (id int PRIMARY KEY, plan text NOT NULL);
  INSERT INTO customers SELECT n, 'free' FROM generate_series(1, 400) n;
  CREATE TABLE sessions (id int PRIMARY KEY, note text NOT NULL);
  INSERT INTO sessions SELECT n, 'stale' FROM generate_series(1, 400) n;
  CREATE TABLE users (id int PRIMARY KEY);
  INSERT INTO users SELECT n FROM generate_series(1, 400) n;
  CREATE TABLE audit (id text PRIMARY KEY, note text NOT NULL);
`;

interface People {
  /** One is enough. */
  readonly dbas: readonly Credential[];
  /** Both are needed. */
  readonly finance: readonly Credential[];
}

/** CORPUS_SHARE=0.02 records so much of it, to see whether the script works. */
const SHARE = Number(process.env['CORPUS_SHARE'] ?? 1);

/** How many actions people were asked about so far. */
let asked = 0;

async function runAgent(stack: Stack, agent: ScriptedAgent, people: People, payments: Payments): Promise<void> {
  const client = await stack.agent({ id: agent.id, roles: agent.roles });
  const random = seeded(Buffer.from(agent.id).reduce((sum, byte) => sum * 31 + byte, 7));
  for (let n = 0; n < agent.actions * SHARE; n++) {
    const proposal = agent.propose(n, random, () => payments.newOrder().id);
    await act(stack, client, { ...proposal, actionId: `${agent.id}-${String(n).padStart(4, '0')}` }, people);
  }
}

async function act(
  stack: Stack,
  client: Countersign,
  proposal: Parameters<Countersign['perform']>[0],
  { dbas, finance }: People,
): Promise<void> {
  const answer = await client.perform(proposal);
  if (answer.status !== 'pending') return;
  const said = verdictOf(asked++);
  if (said === 'cancel') {
    await client.cancel(answer.actionId);
  } else {
    const people = answer.pending.shown.tool.name === 'payments' ? finance : dbas;
    for (const person of said === 'no' ? people.slice(0, 1) : people) {
      await stack.decide(answer, person, said === 'no' ? 'deny' : 'approve');
    }
  }
  await answer.outcome();
}

test('records the corpus', async () => {
  const [payments, notes, pins] = await Promise.all([openPayments(), openNotes(), temporaryFolder()]);
  const notesTool = (await pinnedTool({
    name: 'notes',
    environment: 'production',
    protocol: 'auto',
    server: { url: notes.url, allow: { loopback: true } },
    pins: pinsIn(pins.folder),
    tools: { write_note: WRITE_NOTE },
    reads: ['read_note'],
  })) as unknown as Tool;
  const stack = await startStack({
    schema: SCHEMA,
    worker: false,
    tools: (url) => [shopTool(url), toolOn(payments.url, { environment: 'production' }), notesTool],
  });
  try {
    await rm(stack.policies, { recursive: true });
    await cp(path.join(folder, 'policy'), stack.policies, { recursive: true });
    await stack.startWorker();
    for (const id of ['0', ...Array.from({ length: 12 }, (_, n) => String(n + 1))]) {
      for (const agent of AGENTS) notes.write(`${agent.id}-${id}`, 'empty');
    }
    const people: People = {
      dbas: [await stack.approver('dora', ['dba'])],
      finance: [await stack.approver('fay', ['finance']), await stack.approver('finn', ['finance'])],
    };
    await Promise.all(AGENTS.map((agent) => runAgent(stack, agent, people, payments)));
    const recording = await decisionsOf(stack.ledger, stack.keyring);
    expect(recording.records.length).toBeGreaterThanOrEqual(2000 * SHARE);
    const { text } = writeRecording(recording, { corpus: 'scripted agents over postgres, http and MCP' });
    await writeFile(file, packRecording(text, file));
  } finally {
    await stack.stop();
    await Promise.all([payments.stop(), notes.stop(), pins.remove()]);
  }
}, 3_600_000);
