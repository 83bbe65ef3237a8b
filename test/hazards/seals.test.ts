/** What if whoever can write to Temporal changes what one step hands to the next? Every step is handed records that are not its own. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ActionRequest, Activities } from '../../activities/contract.js';
import type { CountersignError } from '../../src/action/errors.js';
import { narrowedKeyring, parseKeyring } from '../../src/trust/key-file.js';
import { openSealed, sealRecord, SEAL_KEYS, type Keyring, type SealedStep } from '../../src/trust/index.js';
import { startStack, TENANT, type Stack } from '../support/stack.js';
import { authorizedOf, executed, prepared, steps, type Executed, type Records, type Steps } from '../support/steps.js';

let stack: Stack;
let worker: Steps;
let serial = 100;

beforeAll(async () => {
  stack = await startStack({
    schema: `
      CREATE TABLE stock (id int PRIMARY KEY, qty int NOT NULL);
      INSERT INTO stock SELECT n, 10 FROM generate_series(1, 400) n;`,
    worker: false,
  });
  worker = await steps(stack);
});
afterAll(async () => {
  await worker?.close();
  await stack?.stop();
});

/** An update that policy allows. */
const small = (): Promise<ActionRequest> =>
  worker.request({ op: 'update', table: 'stock', set: { qty: 9 }, where: { id: serial++ } });
/** One that a dba must approve. */
const large = (): Promise<ActionRequest> =>
  worker.request({ op: 'update', table: 'stock', set: { qty: serial++ }, all: true });

type Attack = <Record extends object>(own: Record, foreign: Record, other: object) => Record;

/** Each is a way to hand a step something that no step of this action made for it. */
const ATTACKS: readonly (readonly [string, Attack])[] = [
  ['was changed', (own) => changed(own)],
  ['is of another action', (_own, foreign) => foreign],
  ['is of another step', <Record extends object>(_own: Record, _foreign: Record, other: object) => other as Record],
  ['has no seal', (own) => ({ ...own, seal: undefined })],
  ['has a seal of another record', (own, foreign) => ({ ...own, seal: (foreign as { seal?: string }).seal })],
  ['is missing', () => undefined as never],
];

/** The same record, but for one thing that matters to the next step. */
function changed<Record extends object>(record: Record): Record {
  const copy = structuredClone(record) as { [key: string]: unknown };
  if ('preview' in copy) copy['preview'] = { ...(copy['preview'] as object), rows: 0 };
  else if ('decision' in copy)
    copy['decision'] = { ...(copy['decision'] as object), effect: 'allow', requirements: [] };
  else if ('approvals' in copy) copy['credentials'] = ['another'];
  else if ('delta' in copy) copy['delta'] = { patch: [], operations: 0, latencyMs: 0 };
  else copy['at'] = Number(copy['at']) + 1;
  return copy as Record;
}

const SEAL_INVALID = { kind: 'refused', error: { code: 'SEAL_INVALID' } };

describe.each(ATTACKS)('a record that %s', (_name, attack) => {
  let own: Records;
  let foreign: Records;
  beforeAll(async () => {
    own = await prepared(stack, worker, await large());
    foreign = await prepared(stack, worker, await large());
  });

  const refused = async <Input extends unknown[]>(
    activity: (...input: Input) => Promise<unknown>,
    ...input: Input
  ): Promise<void> => {
    expect(await worker.run(own.request, activity, ...input)).toMatchObject(SEAL_INVALID);
  };

  test('is refused by enforce', async () => {
    const proposed = attack(own.proposed, foreign.proposed, own.pre);
    await refused(worker.activities.enforce, { request: own.request, proposed, maxWaitOver: false });
  });

  test('is refused by capturePreState', async () => {
    const proposed = attack(own.proposed, foreign.proposed, own.enforced);
    await refused(worker.activities.capturePreState, { request: own.request, proposed });
  });

  test.each(['enforced', 'pre'] as const)('is refused by requestApproval: %s', async (field) => {
    const record = attack<object>(own[field], foreign[field], own.proposed);
    const input = { ...own, [field]: record, tokens: [], withoutStandingApprovals: false };
    await refused(worker.activities.requestApproval, input);
  });

  test.each(['enforced', 'pre', 'approved'] as const)('is refused by authorize: %s', async (field) => {
    const record = attack<object>(own[field] as object, foreign[field] as object, own.proposed);
    const answer = await worker.run(own.request, worker.activities.authorize, {
      ...own,
      [field]: record,
      lastLook: true,
    });
    // Without any approval it is not a matter of seals.
    const code = field === 'approved' && record === undefined ? 'GRANT_INVALID' : 'SEAL_INVALID';
    expect(answer).toMatchObject({ kind: 'refused', error: { code } });
  });
});

describe('after the effect, a record that', () => {
  let own: Executed;
  let foreign: Executed;
  beforeAll(async () => {
    own = await executed(stack, worker, await small());
    foreign = await executed(stack, worker, await small());
  });

  const capture = (report: Executed['report']): ReturnType<Activities['capturePostState']> =>
    worker.run(own.request, worker.activities.capturePostState, {
      request: own.request,
      authorized: authorizedOf(own, own.grant),
      report,
    });

  test.each([
    ['says that nothing happened', { kind: 'not_done', error: { code: 'TOOL_FAILED', message: 'forged' } }],
    ['was changed', { at: 1 }],
    ['has no seal', { seal: undefined }],
  ])('%s is no report: capturePostState asks the tool, and finds the effect', async (_name, forgery) => {
    expect(await capture({ ...own.report, ...forgery } as Executed['report'])).toMatchObject({
      kind: 'post_state',
      found: { result: expect.anything() as unknown },
    });
  });

  test('is the report of another action is none of this one', async () => {
    expect(await capture(foreign.report)).toMatchObject({ kind: 'post_state', found: expect.anything() as unknown });
  });

  const verify = (input: Partial<Parameters<Activities['verify']>[0]>): ReturnType<Activities['verify']> =>
    worker.run(own.request, worker.activities.verify, {
      request: own.request,
      authorized: authorizedOf(own, own.grant),
      report: own.report,
      post: own.post,
      attempts: [],
      steps: {},
      ...input,
    });

  test.each(ATTACKS.filter(([name]) => name !== 'is missing'))(
    '%s is refused by verify as a post-state',
    async (_name, attack) => {
      await expect(verify({ post: attack(own.post, foreign.post, own.pre) })).rejects.toMatchObject({
        type: 'SEAL_INVALID',
      });
    },
  );

  test('was not granted is refused by verify as a plan', async () => {
    const authorized = { ...authorizedOf(own, own.grant), pre: foreign.pre.snapshot };
    await expect(verify({ authorized })).rejects.toMatchObject({ type: 'GRANT_INVALID' });
    await expect(verify({ authorized: authorizedOf(own, foreign.grant) })).rejects.toMatchObject({
      type: 'GRANT_INVALID',
    });
  });

  test('says that nothing happened records nothing of the kind', async () => {
    const forged = { kind: 'not_done', error: { code: 'TOOL_FAILED', message: 'forged' }, at: 0, tookMs: 0 } as const;
    const { post: _post, ...rest } = own;
    const answer = await worker.run(rest.request, worker.activities.settle, {
      request: rest.request,
      ending: { kind: 'cancelled', during: 'pipeline' },
      attempts: [{ ...forged, seal: own.report.seal, usedBy: `run-of-${rest.request.proposal.actionId}/1` }],
      steps: {},
    });
    expect(answer).toMatchObject({ kind: 'effect_possible' });
    expect((await stack.ledger.actions.find(TENANT, rest.request.proposal.actionId))?.status).toBe('open');
  });
});

describe('words that were changed on the way', () => {
  let own: Records;
  let other: ActionRequest;
  beforeAll(async () => {
    own = await prepared(stack, worker, await large());
    // The same proposal by its digest: what would be done is the same, what people would read is not.
    other = { ...own.request, proposal: { ...own.request.proposal, reasoning: 'Nothing to see here.' } };
  });

  test.each(['enforce', 'capturePreState', 'requestApproval', 'authorize'] as const)(
    'are no words of this action to %s',
    async (step) => {
      const more = { maxWaitOver: false, tokens: [], withoutStandingApprovals: false, lastLook: true };
      const input = { ...own, ...more, request: other };
      const activity: (given: typeof input) => Promise<unknown> = worker.activities[step];
      expect(await worker.run(own.request, activity, input)).toMatchObject(SEAL_INVALID);
    },
  );
});

test('a refusal that no step gave is no reason on a receipt', async () => {
  const request = await small();
  const forged = { kind: 'refused', step: 'enforce', at: 0, tookMs: 0, seal: 'A'.repeat(86) } as const;
  const error = { code: 'APPROVAL_DENIED', message: 'dora said no' } as const;
  const answer = await worker.run(request, worker.activities.settle, {
    request,
    ending: { ...forged, error },
    attempts: [],
    steps: {},
  });
  expect(answer).toMatchObject({ kind: 'complete', outcome: { status: 'denied', error: { code: 'SEAL_INVALID' } } });
});

/** What comes of sealing a record with these keys. */
function forged(keyring: Keyring, context: Parameters<typeof sealRecord>[1]): string {
  try {
    const record = { kind: 'forged' };
    return openSealed(stack.keyring, context, sealRecord(keyring, context, record)).record.kind === 'forged'
      ? 'sealed'
      : '';
  } catch (error) {
    return (error as CountersignError).code;
  }
}

test("with a tool's credentials alone, a worker captures and executes, and can seal no decision", async () => {
  const keyring = await parseKeyring(JSON.stringify(await narrowedKeyring(stack.keys, 'test', ['tool'])), 'test');
  const toolWorker = await steps(stack, { keyring });
  try {
    const request = await small();
    const { activities } = toolWorker;
    const proposed = await toolWorker.run(request, activities.propose, request);
    expect(proposed).toMatchObject({ kind: 'proposed' });
    const forms = { request, proposed: proposed as Records['proposed'] };
    await expect(toolWorker.run(request, activities.enforce, { ...forms, maxWaitOver: false })).rejects.toMatchObject({
      type: 'KEYS_MISSING',
    });
    for (const step of Object.keys(SEAL_KEYS) as SealedStep[]) {
      const context = { workflowId: `${TENANT}/${request.proposal.actionId}`, signedDigest: request.digest, step };
      expect(forged(keyring, context)).toBe(SEAL_KEYS[step] === 'tool' ? 'sealed' : 'KEYS_MISSING');
    }
  } finally {
    await toolWorker.close();
  }
});

test('records that are older than a grant may become are not granted on', async () => {
  const records = await prepared(stack, worker, await small());
  const context = (step: SealedStep) => ({
    workflowId: `${TENANT}/${records.request.proposal.actionId}`,
    signedDigest: records.request.digest,
    step,
  });
  const { seal: _seal, ...enforced } = records.enforced;
  const old = sealRecord(stack.keyring, context('enforce'), { ...enforced, at: enforced.at - 61_000 });
  const authorize = (lastLook: boolean) =>
    worker.run(records.request, worker.activities.authorize, { ...records, enforced: old, lastLook });
  expect(await authorize(false)).toEqual({ kind: 'look_again', because: 'stale_records' });
  expect(await authorize(true)).toMatchObject({ kind: 'refused', error: { code: 'GRANT_EXPIRED' } });
});
