/** The contract that every Tool must keep. The tests of each implementation run this suite with a scenario of their own. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ACTION_TYPES, type Constraint, type Preview } from '../../src/action/decision.js';
import { CountersignError, type ErrorCode } from '../../src/action/errors.js';
import { assertJson, digest, type JsonObject } from '../../src/action/json.js';
import type { Check } from '../../src/action/outcome.js';
import { NAME_PATTERN } from '../../src/action/proposal.js';
import type { State } from '../../src/action/snapshot.js';
import { DEFAULT_SENDS, Sends } from '../../src/tools/sends.js';
import type { Execution, Tool } from '../../src/tools/tool.js';

export interface ToolScenario<I = unknown> {
  readonly tool: Tool<I>;
  /** An input that only reads. */
  readonly read: JsonObject;
  /** An input that its schema must refuse. */
  readonly invalid: JsonObject;
  /** An input that changes something, on another object each time. */
  write(): Promise<JsonObject>;
  /** How many effects of that input the real system shows: 0, 1 … */
  effects(write: JsonObject): Promise<number>;
  /** Changes what `capture` reads for that input, without the tool. */
  interfere?(write: JsonObject): Promise<void>;
  /** An input that reads more than one result holds. */
  readonly cut: JsonObject;
  /** An input like `write`, of something that is not there. */
  readonly unmatched?: JsonObject;
  /** Lets the system put off every change of that input from now on, for another time. */
  putOff(write: JsonObject): Promise<PuttingOff>;
  stop(): Promise<void>;
}

export interface PuttingOff {
  /** How often the system has put it off. */
  times(): Promise<number>;
  /** How often it does so in one send at most: a transaction that conflicts is repeated at once. */
  readonly perSend: number;
}

/** The results of one action that went through all steps, as in the workflow. */
export interface PerformedAction<I> {
  readonly input: I;
  readonly key: string;
  readonly preview: Preview;
  readonly pre: State;
  readonly execution: Execution;
  readonly post: State;
  readonly checks: readonly Check[];
}

export interface ActOptions {
  readonly key?: string;
  readonly constraints?: readonly Constraint[];
  readonly signal?: AbortSignal;
  /** Runs between the capture and the execution. */
  readonly between?: () => Promise<void>;
  /** The number of rows to use instead of the one from the preview. */
  readonly rows?: number;
}

export const never = (): AbortSignal => new AbortController().signal;

/** Previews, captures, executes, captures again and verifies. */
export async function act<I>(tool: Tool<I>, raw: unknown, options: ActOptions = {}): Promise<PerformedAction<I>> {
  const input = tool.input.parse(raw);
  const key = options.key ?? randomUUID();
  const preview = await tool.preview(input, { signal: never() });
  const { rehearsal } = preview;
  const pre = await tool.capture(input, { preview }, { signal: never() });
  await options.between?.();
  const execution = await tool.execute(input, {
    idempotencyKey: key,
    preDigest: digest(pre),
    constraints: options.constraints ?? [],
    rows: options.rows ?? preview.rows,
    ...(rehearsal === undefined ? {} : { rehearsal: rehearsal.digest }),
    signal: options.signal ?? never(),
    heartbeat: () => {},
  });
  const post = await tool.capture(input, { after: { pre, execution }, preview }, { signal: never() });
  const checks = tool.verify({ input, preview, pre, post, delta: NO_DELTA, execution });
  return { input, key, preview, pre, execution, post, checks };
}

const NO_DELTA = { patch: [], operations: 0, latencyMs: 0 } as const;

/** The error of a rejected promise, which must be a CountersignError. */
export async function failureOf(promise: Promise<unknown>): Promise<CountersignError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error, 'expected a refusal').toBeInstanceOf(CountersignError);
  return error as CountersignError;
}

export async function expectCode(promise: Promise<unknown>, code: ErrorCode): Promise<CountersignError> {
  const error = await failureOf(promise);
  expect({ code: error.code, message: error.message }).toMatchObject({ code });
  return error;
}

export function describeTool<I>(name: string, setup: () => Promise<ToolScenario<I>>): void {
  describe(`${name} keeps the contract of a tool`, () => {
    let scenario: ToolScenario<I>;
    let tool: Tool<I>;
    beforeAll(async () => {
      scenario = await setup();
      tool = scenario.tool;
    });
    afterAll(async () => {
      await scenario.stop();
    });

    async function executeAs({
      input,
      key,
      preview,
      pre,
      sends,
    }: Pick<PerformedAction<I>, 'input' | 'key' | 'preview' | 'pre'> & { sends?: Sends }): Promise<Execution> {
      return await tool.execute(input, {
        idempotencyKey: key,
        preDigest: digest(pre),
        constraints: [],
        rows: preview.rows,
        ...(preview.rehearsal === undefined ? {} : { rehearsal: preview.rehearsal.digest }),
        ...(sends === undefined ? {} : { sends }),
        signal: never(),
        heartbeat: () => {},
      });
    }

    test('it declares what it is, and how long it may take', () => {
      expect(tool.name).toMatch(NAME_PATTERN);
      expect(tool.kind).not.toBe('');
      expect(tool.environment).not.toBe('');
      expect(['native', 'lookup', 'none']).toContain(tool.idempotency);
      expect(tool.timeoutMs).toBeGreaterThan(0);
      expect(tool.idempotency === 'none' || 'lookUp' in tool, 'idempotency promises a look-up').toBe(true);
    });

    test('an input that is invalid or has unknown fields is refused by its schema', async () => {
      expect(tool.input.safeParse(scenario.invalid).success).toBe(false);
      expect(tool.input.safeParse({ ...scenario.read, surplus: 1 }).success).toBe(false);
      expect(tool.input.safeParse({ ...(await scenario.write()), surplus: 1 }).success).toBe(false);
    });

    test('it distinguishes a read from a change', async () => {
      expect(tool.actionType(tool.input.parse(scenario.read))).toBe('READ');
      const write = tool.input.parse(await scenario.write());
      expect(ACTION_TYPES).toContain(tool.actionType(write));
      expect(tool.actionType(write)).not.toBe('READ');
      expect(tool.operation(write)).toMatch(/^[a-z0-9_.-]+$/i);
    });

    test('a preview and a capture have no effect, and return the same each time', async () => {
      const raw = await scenario.write();
      const input = tool.input.parse(raw);
      const previews = [await tool.preview(input, { signal: never() }), await tool.preview(input, { signal: never() })];
      const states = [
        await tool.capture(input, {}, { signal: never() }),
        await tool.capture(input, {}, { signal: never() }),
      ];
      expect(await scenario.effects(raw)).toBe(0);
      expect(digest(previews[0])).toBe(digest(previews[1]));
      expect(digest(states[0])).toBe(digest(states[1]));
      assertJson(states[0], 'state');
      const [preview] = previews as [Preview];
      expect(preview.rows).toBeGreaterThanOrEqual(1);
      expect(preview.sample.length).toBeLessThanOrEqual(10);
      expect(preview.summary).toMatch(/^[^\n]+$/);
      for (const names of [preview.targets, preview.reads]) {
        expect(names).toEqual([...names].sort());
        expect(names).toEqual(names.map((one) => one.toLowerCase()));
      }
      expect(preview.targets.length).toBeGreaterThanOrEqual(1);
      expect(preview.targets.filter((one) => preview.reads.includes(one))).toEqual([]);
    });

    test('a read changes nothing, and has nothing to capture or touch', async () => {
      const performed = await act(tool, scenario.read);
      expect(performed.preview.targets).toEqual([]);
      assertJson(performed.execution, 'execution');
      expect(digest(performed.post)).toBe(digest(performed.pre));
      expect(performed.checks.filter((one) => !one.ok)).toEqual([]);
    });

    test('an execution makes one effect, which is verified', async () => {
      const raw = await scenario.write();
      const performed = await act(tool, raw);
      expect(await scenario.effects(raw)).toBe(1);
      assertJson(performed.execution, 'execution');
      expect(digest(performed.post)).not.toBe(digest(performed.pre));
      expect(performed.checks.length).toBeGreaterThan(0);
      expect(performed.checks.filter((one) => !one.ok)).toEqual([]);
    });

    test('an effect that did not happen does not verify', async () => {
      const input = tool.input.parse(await scenario.write());
      const preview = await tool.preview(input, { signal: never() });
      const pre = await tool.capture(input, {}, { signal: never() });
      const execution = { result: null };
      const checks = tool.verify({ input, preview, pre, post: pre, delta: NO_DELTA, execution });
      expect(checks.filter((one) => !one.ok).length).toBeGreaterThan(0);
    });

    test('verification is pure: it gives the same checks twice and does not change its argument', async () => {
      const performed = await act(tool, await scenario.write());
      const effect = { ...performed, delta: NO_DELTA };
      const before = digest(effect);
      expect(tool.verify(effect)).toEqual(tool.verify(effect));
      expect(digest(effect)).toBe(before);
    });

    test('the same key twice makes one effect and gives the same execution', async () => {
      const raw = await scenario.write();
      const first = await act(tool, raw);
      // A tool whose idempotency is not native is never executed again.
      const again = tool.idempotency === 'native' ? await executeAs(first) : first.execution;
      expect(digest(again)).toBe(digest(first.execution));
      expect(await scenario.effects(raw)).toBe(1);
    });

    test('a result that is cut says so, and how to get the rest; one that is whole does not', async () => {
      const of = async (raw: JsonObject) => (await act(tool, raw)).execution.result;
      expect(await of(scenario.cut)).toMatchObject({
        truncated: true,
        limit: expect.anything(),
        more: expect.any(String),
      });
      expect(await of(scenario.read)).not.toHaveProperty('truncated');
    });

    test('a change that matches nothing is refused before anything is done', async () => {
      const raw = scenario.unmatched;
      const preview = raw && (await tool.preview(tool.input.parse(raw), { signal: never() }));
      expect(preview?.refusal?.code).toBe(raw === undefined ? undefined : 'NOTHING_MATCHED');
    });

    test('a system that puts every send off is sent an action a bounded number of times', async () => {
      const raw = await scenario.write();
      const input = tool.input.parse(raw);
      const preview = await tool.preview(input, { signal: never() });
      const prepared = { input, preview, pre: await tool.capture(input, {}, { signal: never() }), key: randomUUID() };
      const puttingOff = await scenario.putOff(raw);
      const bound = tool.sends ?? DEFAULT_SENDS;
      let made = 0;
      const count = async () => ({ sends: ++made, sendingMs: 0, sinceFirstMs: 0 });
      let last = new CountersignError('INTERNAL', 'never sent', { retryable: true });
      // As the activity does it, attempt by attempt, without its pauses.
      for (let attempt = 1; attempt <= 10 && last.retryable; attempt++) {
        const sends = new Sends(bound, { count, confirm: async () => {} });
        last = await failureOf(sends.reserve().then(() => executeAs({ ...prepared, sends })));
      }
      expect(['TOOL_UNAVAILABLE', 'TOOL_FAILED']).toContain(last.code);
      expect(await puttingOff.times()).toBeGreaterThan(0);
      expect(await puttingOff.times()).toBeLessThanOrEqual(bound.max * puttingOff.perSend);
      expect(await scenario.effects(raw)).toBe(0);
    });

    test('many concurrent executions with the same key make one effect', async () => {
      const raw = await scenario.write();
      const input = tool.input.parse(raw);
      const preview = await tool.preview(input, { signal: never() });
      const pre = await tool.capture(input, {}, { signal: never() });
      const prepared = { input, preview, pre, key: randomUUID() };
      const times = tool.idempotency === 'native' ? 6 : 1;
      // As the activity does it: what may be tried again is tried again.
      const untilDone = (): Promise<Execution> =>
        executeAs(prepared).catch((error: unknown) => {
          if (error instanceof CountersignError && error.retryable) return untilDone();
          throw error;
        });
      const all = await Promise.all(Array.from({ length: times }, untilDone));
      expect(new Set(all.map((execution) => digest(execution))).size).toBe(1);
      expect(await scenario.effects(raw)).toBe(1);
    });

    test('a look-up finds what happened', async () => {
      const performed = await act(tool, await scenario.write());
      const found = await tool.lookUp?.(performed.key, { signal: never() });
      expect(found?.happened ?? tool.idempotency).toBe(tool.idempotency === 'none' ? 'none' : 'yes');
    });

    test('after a look-up returned no, a late attempt has no effect', async () => {
      const raw = await scenario.write();
      const key = randomUUID();
      const found = await tool.lookUp?.(key, { signal: never() });
      const final = found?.happened === 'no';
      expect(final || tool.idempotency !== 'native', 'a native tool can always tell').toBe(true);
      if (final) await failureOf(act(tool, raw, { key }));
      expect(await scenario.effects(raw)).toBe(0);
      expect(await tool.lookUp?.(key, { signal: never() })).toEqual(found);
    });

    test('an execution does nothing when the state is not the captured one', async () => {
      const raw = await scenario.write();
      const between = async (): Promise<void> => await scenario.interfere?.(raw);
      if ('interfere' in scenario) await expectCode(act(tool, raw, { between }), 'STATE_CHANGED');
      expect(await scenario.effects(raw)).toBe(0);
    });

    test('an execution that is cancelled before it starts does nothing', async () => {
      const raw = await scenario.write();
      await failureOf(act(tool, raw, { signal: AbortSignal.abort() }));
      expect(await scenario.effects(raw)).toBe(0);
    });

    test('a ceiling on rows from policy is enforced', async () => {
      const raw = await scenario.write();
      const constraints = [{ name: 'maxRows', value: 0, policy: 'none-at-all' }];
      if (tool.constraints.includes('maxRows'))
        await expectCode(act(tool, raw, { constraints }), 'CONSTRAINT_VIOLATED');
      expect(await scenario.effects(raw)).toBe(0);
    });

    test('the compensation that it proposes restores the state', async () => {
      const raw = await scenario.write();
      const performed = await act(tool, raw);
      const undo = tool.compensate?.(performed.input, performed.pre, performed.post);
      const undone = undo === undefined ? undefined : await act(tool, undo);
      expect(undone?.checks.filter((one) => !one.ok) ?? []).toEqual([]);
      expect(await scenario.effects(raw)).toBe(undo === undefined ? 1 : 0);
      const now = undo === undefined ? performed.pre : await tool.capture(performed.input, {}, { signal: never() });
      expect(digest(now)).toBe(digest(performed.pre));
    });
  });
}
