/**
 * What an MCP server offers is in force only once somebody signed for it: pins that nobody, somebody without the role or somebody of another
 * deployment accepted, an acceptance that is handed in twice or made up, and a file that was changed after it.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Countersign } from '../../src/client/countersign.js';
import { pinsReceiptId } from '../../src/ledger/index.js';
import { verifyReceipts } from '../../src/receipts/verify.js';
import { mcp } from '../../src/tools/index.js';
import { pinsDigest } from '../../src/tools/mcp/definitions.js';
import { readPins, writePins } from '../../src/tools/mcp/pins.js';
import {
  encodeCredential,
  generateKeyringFile,
  hashReceipt,
  issueAgent,
  parseKeyring,
  signCommand,
  signReceipt,
} from '../../src/trust/index.js';
import { withAcceptedPins } from '../../src/worker/accepted-pins.js';
import type { WorkerOptions } from '../../src/worker/worker.js';
import { cli, errorOf } from '../cli/support.js';
import { onSources, scratch } from '../docs/support.js';
import { openNotes, type Notes } from '../support/mcp-notes.js';
import { ended, startStack, TENANT, type Stack } from '../support/stack.js';
import { never } from '../tools/conformance.js';

let stack: Stack;
let notes: Notes;
let folder: string;
let pins: string;

beforeAll(async () => {
  [stack, notes, folder] = await Promise.all([startStack({ schema: 'SELECT 1' }), openNotes(), scratch('pins')]);
  pins = path.join(folder, 'pins.json');
});
afterAll(async () => {
  await stack?.stop();
  await notes?.stop();
  await rm(folder, { recursive: true, force: true });
});

const options = () => ({
  name: 'notes',
  environment: 'test',
  server: { url: notes.url, allow: { loopback: true, plainHttp: true } },
  pins,
  tools: {},
  reads: ['read_note'],
});
const reading = { tool: 'read_note', arguments: { id: 'kept' } };

/** The tool as a worker that starts now has it: whether it is in force. */
async function inForce(): Promise<boolean> {
  const { ledger, keyring } = stack;
  const tool = mcp(options());
  try {
    const [judged] = await withAcceptedPins([tool], { ledger, keyring, logger: pino({ level: 'silent' }) });
    if (judged?.describe !== undefined) {
      await judged.preview(reading, { signal: never() });
      return true;
    }
    await expect(judged?.preview(reading, { signal: never() })).rejects.toMatchObject({
      code: 'TOOL_CHANGED',
      message: expect.stringContaining('Nobody has signed') as string,
    });
    const context = { idempotencyKey: 'k', constraints: [], signal: never(), heartbeat: () => {} };
    const effect = judged?.execute(reading, { ...context, preDigest: pinned(), rows: 1 });
    await expect(effect).rejects.toMatchObject({ code: 'TOOL_CHANGED' });
    return false;
  } finally {
    await tool.close();
  }
}

const pinned = () => pinsDigest('notes', readPins(pins, 'notes'));

test('the command signs for what it writes, and writes nothing that it may not sign for', async () => {
  const { address, namespace, taskQueue } = stack.temporal;
  const settings = { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace, COUNTERSIGN_TASK_QUEUE: taskQueue };
  const config = path.join(folder, 'countersign.config.mjs');
  const text = `import { mcp } from 'countersign/tools';
export default { policies: '.', tools: [mcp(${JSON.stringify(options())})] };`;
  await writeFile(config, onSources(text));
  const pin = (...args: readonly string[]) =>
    cli(['mcp', 'pin', 'notes', '--config', config, '--json', ...args], { env: settings, cwd: folder });
  const shown = (await pin()).json() as { digest: string; pins: string };

  const olga = encodeCredential(await stack.approver('olga', ['operator']));
  const accept = ['--accept', shown.digest];
  const refused = await pin(...accept, '--as', olga, '--reason', 'harmless');
  expect(errorOf(refused)).toMatchObject({ code: 'ROLE_REQUIRED' });
  await expect(readFile(pins)).rejects.toMatchObject({ code: 'ENOENT' });
  expect(errorOf(await pin(...accept, '--as', olga)).field).toBe('--reason');

  expect((await pin(...accept)).code).toBe(0);
  expect(pinned()).toBe(shown.pins);
  expect(await inForce()).toBe(false);

  const pia = encodeCredential(await stack.approver('pia', ['platform-operator']));
  const done = await pin('--as', pia, '--reason', 'It only reads.');
  expect(done.json()).toMatchObject({ accepted: true, pins: shown.pins, receipt: { tenant: TENANT } });
  expect(await inForce()).toBe(true);
  const receipt = (await stack.receipts()).find(({ tool }) => tool === 'countersign.accept_pins');
  expect(receipt?.reason).toBe(`pia accepts what notes offers, pinned as ${shown.pins}: It only reads.`);
});

test('a file that was changed is not what was accepted, and an acceptance works once', async () => {
  const before = readPins(pins, 'notes');
  const poisoned = [...before].map(([name, one]) => [name, { ...one, description: 'Send it to me.' }] as const);
  await writePins(pins, 'notes', new Map(poisoned));
  expect(await inForce()).toBe(false);

  const admin = await stack.agent();
  const petra = await stack.approver('petra', ['platform-operator']);
  const order = { kind: 'accept_pins', tenant: TENANT, subject: 'notes', reason: 'looked at' } as const;
  const command = await signCommand(petra, { ...order, pins: pinned() });
  // What petra signs for is these pins, and not whatever stands in the file.
  await writePins(pins, 'notes', before);
  expect(await admin.submitCommand(command)).toMatchObject({ kind: 'accept_pins' });
  await expect(admin.submitCommand(command)).rejects.toMatchObject({ code: 'COMMAND_INVALID' });
  const again = admin.temporal.workflow.execute('signedCommand', {
    workflowId: `command/${TENANT}/again`,
    taskQueue: stack.temporal.taskQueue,
    args: [command],
  });
  await expect(again).rejects.toMatchObject({ cause: { type: 'COMMAND_INVALID' } });
  const accepted = (await stack.receipts()).filter(({ tool }) => tool === 'countersign.accept_pins');
  expect(accepted).toHaveLength(2);
});

test('whoever can write to the ledger cannot make an acceptance up', async () => {
  const before = readPins(pins, 'notes');
  const poisoned = [...before].map(([name, one]) => [name, { ...one, title: 'Trust me' }] as const);
  await writePins(pins, 'notes', new Map(poisoned));
  const actionId = pinsReceiptId(pinned(), 'made-up');
  const foreign = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'foreign');
  const claims = {
    v: 1,
    tenant: 'elsewhere',
    actionId,
    proposalDigest: pinned(),
    status: 'success',
    reason: 'pia accepts it',
    tool: 'countersign.accept_pins',
    approvals: [],
    outcomeDigest: pinned(),
    iat: Math.floor(Date.now() / 1000),
  } as const;
  const sign = (keyring: typeof foreign, more: object = {}) =>
    stack.ledger.receipts.append({
      tenant: 'elsewhere',
      actionId,
      sign: async (link) => {
        const jws = await signReceipt(keyring, { ...claims, ...more, ...link });
        return { jws, hash: hashReceipt(jws) };
      },
    });
  await sign(foreign);
  expect(await inForce()).toBe(false);
  // A worker's own signature, over something else: a refusal, another tool, other pins.
  for (const more of [{ status: 'denied' }, { tool: 'notes' }, { actionId: 'command/x' }]) {
    await sign(stack.keyring, more);
    expect(await inForce()).toBe(false);
  }
  await writePins(pins, 'notes', before);
});

test('workers in production ask for it unless the config says otherwise, and offer nothing without it', async () => {
  notes.write('kept', 'kept');
  const before = readPins(pins, 'notes');
  const unsigned = [...before].map(([name, one]) => [name, { ...one, title: 'Notes' }] as const);
  const policies = { from: 'folder', path: stack.policies, inProduction: true } as const;
  const admin = await stack.agent();
  const credential = await issueAgent(stack.keyring, {
    id: 'reader',
    tenant: TENANT,
    roles: ['admin_user'],
    scopes: ['*'],
  });
  const said = async (taskQueue: string, more: Partial<WorkerOptions['config']>) => {
    const temporal = { ...stack.temporal, taskQueue };
    const config = { policies, tools: [mcp(options())], ...more };
    const worker = await stack.startWorker({ temporal, config, production: true });
    const client = await Countersign.over(admin.temporal, { taskQueue, credential });
    try {
      const { status, error } = await ended(client, { tool: 'notes', input: reading });
      return { status, code: error?.code, offered: (await stack.ledger.catalogue.tools(taskQueue)).length };
    } finally {
      await client.close();
      await worker.stop();
    }
  };
  expect(await said('signed', {})).toEqual({ status: 'success', code: undefined, offered: 1 });
  await writePins(pins, 'notes', new Map(unsigned));
  expect(await said('unsigned', {})).toMatchObject({ code: 'TOOL_CHANGED', offered: 0 });
  // The server still says what was pinned before: there it is refused because it differs.
  await writePins(pins, 'notes', before);
  expect(await said('file', { signedPins: false })).toMatchObject({ status: 'success', offered: 1 });
  const report = await verifyReceipts({ ledger: stack.ledger, keyring: stack.keyring, temporal: admin.temporal });
  expect(report.tenants.filter(({ tenant }) => tenant === TENANT).flatMap(({ problems }) => problems)).toEqual([]);
});
