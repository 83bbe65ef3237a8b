/**
 * What every adapter does, in a real loop of its framework, with a scripted model behind the framework's own provider, against a real gateway and worker:
 * allowed, denied, approved after a restart of the agent, approved with a mismatch, and the same call sent twice.
 */
import { expect, test } from 'vitest';
import { Countersign } from '../../clients/typescript/src/index.js';
import { CLERK_SCHEMA, clerkSays, rowsOf } from '../support/clerk.js';
import { startTestGateway, type Sender } from '../support/gateway.js';
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.js';
import { startStack, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

/** How a run ended: the agent said something, or it stopped for people and this was kept of it. */
export interface Ran {
  readonly said?: string;
  readonly kept?: string;
}

/** An agent of one framework. Every call makes a new one, as a process that was started anew does. */
export interface Loop {
  start(thread: string, order: string): Promise<Ran>;
  resume(thread: string, kept: string): Promise<Ran>;
  /** Where the framework itself keeps the conversation. */
  forget?(thread: string): Promise<void>;
}

/** What the agents of a file of tests act in, and the person who decides on what they propose. */
export interface AdapterWorld {
  readonly stack: Stack;
  readonly model: ScriptedModel;
  readonly gatewayUrl: string;
  /** The agent's key. */
  readonly token: string;
  client(): Countersign;
  make(table: 'sessions' | 'users', note: string, rows: number): Promise<void>;
  count(table: 'sessions' | 'users' | 'notes', note: string): Promise<number>;
  /** The id of a note that is not there yet. */
  freeNote(): Promise<number>;
  /** Decides on the one action that waits. @returns its id, or that of the action that is done instead */
  decide(verdict: 'approve' | 'deny' | 'request_changes', more?: object): Promise<string>;
  /** A person lets only the first rows of a note be deleted. @returns the id of the action that is done instead */
  editTo(rows: number, note: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startAdapterWorld(): Promise<AdapterWorld> {
  const [stack, model] = await Promise.all([startStack({ schema: CLERK_SCHEMA }), startScriptedModel(clerkSays)]);
  const gateway = await startTestGateway(stack);
  const dana = await gateway.person();
  const token = ((await gateway.agent()).headers['authorization'] as string).replace('Bearer ', '');
  const numberOf = async (query: string, ...values: unknown[]): Promise<number> =>
    (await stack.shop.query<{ found: number }>(query, values)).rows[0]?.found ?? 0;

  const decide: AdapterWorld['decide'] = async (verdict, more = {}) => {
    const { actionId, shownDigest } = await theOneThatWaits(dana);
    const answer = await dana.post(`/v1/actions/${actionId}/decision`, { shownDigest, verdict, ...more });
    expect(answer.status).toBe(200);
    return (answer.body['revisedBy'] as string | undefined) ?? actionId;
  };

  return {
    stack,
    model,
    gatewayUrl: gateway.url,
    token,
    client: () => new Countersign({ url: gateway.url, token }),
    make: async (table, note, rows) => void (await stack.shop.query(rowsOf(table, note, rows))),
    count: (table, note) => numberOf(`SELECT count(*)::int AS found FROM ${table} WHERE note = $1`, note),
    freeNote: () => numberOf('SELECT coalesce(max(id), 0) + 1 AS found FROM notes'),
    decide,
    async editTo(rows, note) {
      const first = 'SELECT id AS found FROM sessions WHERE note = $1 ORDER BY id OFFSET $2 LIMIT 1';
      const input = { op: 'delete', table: 'sessions', where: { note, id: { lt: await numberOf(first, note, rows) } } };
      return decide('request_changes', { reason: 'Not all of them.', edit: { input } });
    },
    async stop() {
      await gateway.stop();
      await Promise.all([stack.stop(), model.stop()]);
    },
  };
}

interface Asked {
  readonly actionId: string;
  readonly shownDigest: string;
}

async function theOneThatWaits(person: Sender): Promise<Asked> {
  const [asked, ...others] = await until(
    async () => (await person.get('/v1/approvals')).body['approvalRequests'] as readonly Asked[],
    (found) => found.length > 0,
  );
  expect(others).toEqual([]);
  return asked as Asked;
}

/** What the model was told last, as it repeats it. */
export function told({ said = '' }: Ran): Record<string, unknown> {
  return JSON.parse(said.replace(/^I was told: /, '')) as Record<string, unknown>;
}

/** @param ofTests what has begun when the tests run */
export function testsOfAdapter(
  name: string,
  ofTests: () => { readonly loop: Loop; readonly world: AdapterWorld },
): void {
  test('what is allowed is done, and the model is told', async () => {
    const { loop, world } = ofTests();
    await world.make('sessions', `few-${name}`, 3);
    const ran = await loop.start(`allowed-${name}`, `delete sessions few-${name}`);
    expect(told(ran)).toMatchObject({ status: 'success' });
    expect(await world.count('sessions', `few-${name}`)).toBe(0);
    const { actions } = await world.client().list({ text: String(told(ran)['actionId']) });
    expect(actions).toMatchObject([{ status: 'success', tool: 'shop-db' }]);
  });

  test('what is denied is not, and the model does something else', async () => {
    const { loop, world } = ofTests();
    await world.make('users', `old-${name}`, 2);
    const ran = await loop.start(`denied-${name}`, `delete users old-${name}`);
    expect(told(ran)).toMatchObject({ status: 'success' });
    expect(await world.count('users', `archived old-${name}`)).toBe(2);
    const denied = await world.client().list({ status: 'denied', tool: 'shop-db' });
    expect(denied.actions[0]).toMatchObject({
      code: 'POLICY_DENIED',
      reason: expect.stringContaining('protected') as string,
    });
  });

  test('what waits for people is done once they agree, whatever became of the agent meanwhile', async () => {
    const { loop, world } = ofTests();
    await world.make('sessions', `stale-${name}`, 120);
    const thread = `approved-${name}`;
    const paused = await loop.start(thread, `delete sessions stale-${name}`);
    expect(paused).toEqual({ kept: expect.any(String) as string });
    expect(await world.count('sessions', `stale-${name}`)).toBe(120);
    const actionId = await world.decide('approve');
    const ran = await loop.resume(thread, paused.kept as string);
    expect(told(ran)).toMatchObject({ status: 'success', actionId });
    expect(await world.count('sessions', `stale-${name}`)).toBe(0);
  });

  test('what people deny is not done, and the model reads why', async () => {
    const { loop, world } = ofTests();
    await world.make('sessions', `kept-${name}`, 120);
    const paused = await loop.start(`refused-${name}`, `delete sessions kept-${name}`);
    await world.decide('deny', { reason: 'They are still needed.' });
    const ran = await loop.resume(`refused-${name}`, paused.kept as string);
    expect(ran.said).toContain('They are still needed.');
    expect(ran.said).toContain('Do not repeat the call unchanged');
    expect(await world.count('sessions', `kept-${name}`)).toBe(120);
  });

  test('what a person changed is done as changed, and the model is told what became of that', async () => {
    const { loop, world } = ofTests();
    await world.make('sessions', `some-${name}`, 120);
    const paused = await loop.start(`edited-${name}`, `delete sessions some-${name}`);
    const instead = await world.editTo(3, `some-${name}`);
    const ran = await loop.resume(`edited-${name}`, paused.kept as string);
    expect(told(ran)).toMatchObject({ status: 'success', actionId: instead });
    expect(told(ran)['advice']).toContain('A person changed what you proposed');
    expect(await world.count('sessions', `some-${name}`)).toBe(117);
  });

  test('a mismatch is told as such, also after an approval', async () => {
    const { loop, world } = ofTests();
    await world.make('sessions', `broken-${name}`, 120);
    const paused = await loop.start(`mismatch-${name}`, `delete sessions broken-${name}`);
    await world.decide('approve');
    const ran = await loop.resume(`mismatch-${name}`, paused.kept as string);
    expect(told(ran)).toMatchObject({ status: 'mismatch', failedChecks: ['expect'] });
    expect(told(ran)['advice']).toContain('Do not repeat it');
  });

  test('the same call sent twice is one action', async () => {
    const { loop, world } = ofTests();
    const order = `note ${await world.freeNote()} twice-${name}`;
    const one = await loop.start(`twice-${name}`, order);
    // A run whose state was lost: the framework makes the same calls again.
    await loop.forget?.(`twice-${name}`);
    const two = await loop.start(`twice-${name}`, order);
    expect(told(two)).toEqual(told(one));
    expect(told(one)).toMatchObject({ status: 'success' });
    expect(await world.count('notes', `twice-${name}`)).toBe(1);
    // The model numbers its calls anew in another conversation.
    const other = await loop.start(`other-${name}`, order);
    expect(told(other)['actionId']).not.toBe(told(one)['actionId']);
  });
}
