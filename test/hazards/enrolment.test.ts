/** A passkey is enrolled by its person's own signed command, and retired by them or by somebody who may revoke. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Countersign } from '../../src/client/countersign.js';
import {
  peekCredential,
  registrationChallengeOf,
  signCommand,
  type Credential,
  type CommandOptions,
} from '../../src/trust/index.js';
import { SoftwareAuthenticator } from '../../src/prove/scratch/authenticator.js';
import { startStack, TENANT, type Stack } from '../support/stack.js';

const RP_ID = 'approvals.example.com';
const ORIGIN = `https://${RP_ID}`;

let stack: Stack;
let client: Countersign;
let dora: Credential;

beforeAll(async () => {
  stack = await startStack({ schema: 'SELECT 1', worker: false });
  await stack.startWorker({
    config: { policies: stack.policies, tools: [], passkeys: { rpId: RP_ID, origins: [ORIGIN] } },
  });
  client = await stack.agent();
  dora = await stack.approver('dora', ['dba']);
});
afterAll(() => stack?.stop());

async function handIn(by: Credential, command: Record<string, unknown>) {
  const { tenant } = peekCredential(by);
  return client.submitCommand(await signCommand(by, { tenant, reason: 'mine', ...command } as CommandOptions));
}

/** A new passkey, made for `person`, and handed in by `by`. */
async function enrol(by: Credential, person: string = peekCredential(by).id): Promise<string> {
  const jti = randomUUID();
  const { tenant } = peekCredential(by);
  const challenge = registrationChallengeOf({ tenant, person, nonce: jti });
  const response = new SoftwareAuthenticator().register({ challenge, rpId: RP_ID, origin: ORIGIN });
  const done = await handIn(by, {
    kind: 'enrol_passkey',
    subject: response.id,
    response: JSON.stringify(response),
    jti,
  });
  expect(done).toMatchObject({
    kind: 'enrol_passkey',
    passkey: { person, credentialId: response.id },
    receipt: { tenant },
  });
  return response.id;
}

const idsOf = async (person: string): Promise<readonly string[]> =>
  (await stack.ledger.passkeys.list(TENANT, person)).map(({ credentialId }) => credentialId);

test('a passkey is enrolled and retired by its person, and both are on the chain', async () => {
  const subject = await enrol(dora);
  expect(await idsOf('dora')).toEqual([subject]);
  expect(await handIn(dora, { kind: 'retire_passkey', subject, reason: 'lost it' })).toMatchObject({
    kind: 'retire_passkey',
    passkey: { credentialId: subject, retired: { by: 'dora', reason: 'lost it' } },
    receipt: { tenant: TENANT },
  });
  expect(await idsOf('dora')).toEqual([]);
});

test('what was made for somebody else is not enrolled', async () => {
  const mallory = await stack.approver('mallory', ['dba']);
  await expect(enrol(mallory, 'dora')).rejects.toMatchObject({ code: 'PASSKEY_INVALID' });
  expect(await idsOf('mallory')).toEqual([]);
  expect(await idsOf('dora')).toEqual([]);
});

test('another’s is retired by whoever may revoke, and by nobody else', async () => {
  const subject = await enrol(dora);
  const [mallory, olga] = [await stack.approver('mallory', ['dba']), await stack.approver('olga', ['operator'])];
  await expect(handIn(mallory, { kind: 'retire_passkey', subject })).rejects.toMatchObject({ code: 'ROLE_REQUIRED' });
  const stranger = await stack.approver('olga', ['operator'], 'globex');
  await expect(handIn(stranger, { kind: 'retire_passkey', subject })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(await idsOf('dora')).toEqual([subject]);
  expect(await handIn(olga, { kind: 'retire_passkey', subject })).toMatchObject({
    passkey: { retired: { by: 'olga' } },
  });
});

test('a signed command that was refused is not used up, and one that was carried out is', async () => {
  const jti = randomUUID();
  const challenge = registrationChallengeOf({ tenant: TENANT, person: 'dora', nonce: jti });
  const response = new SoftwareAuthenticator().register({ challenge, rpId: RP_ID, origin: ORIGIN });
  const command = await signCommand(dora, {
    kind: 'enrol_passkey',
    tenant: TENANT,
    subject: response.id,
    response: JSON.stringify(response),
    reason: 'mine',
    jti,
  });
  await stack.worker?.stop();
  const worker = await stack.startWorker({ config: { policies: stack.policies, tools: [] } });
  await expect(client.submitCommand(command)).rejects.toMatchObject({ code: 'PASSKEY_INVALID', field: 'passkeys' });
  await worker.stop();
  await stack.startWorker({
    config: { policies: stack.policies, tools: [], passkeys: { rpId: RP_ID, origins: [ORIGIN] } },
  });
  // The workflow of the first attempt has ended; another name carries the same signed command.
  const fulfilled = await client.temporal.workflow.execute('signedCommand', {
    workflowId: `statement/again-${jti}`,
    taskQueue: stack.temporal.taskQueue,
    args: [command],
  });
  expect(fulfilled).toMatchObject({ kind: 'enrol_passkey' });
  await expect(
    client.temporal.workflow.execute('signedCommand', {
      workflowId: `statement/more-${jti}`,
      taskQueue: stack.temporal.taskQueue,
      args: [command],
    }),
  ).rejects.toMatchObject({ cause: { type: 'COMMAND_INVALID' } });
});
