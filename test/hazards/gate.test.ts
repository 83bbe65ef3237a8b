/** The gate before an effect and the effect itself, as the activity `execute` alone: a real ledger, and a tool that fails in every way it can. */
import { randomUUID } from 'node:crypto';
import { ActivityCancellationDetails } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import type { EffectReport } from '../../activities/contract.js';
import { assertHonourable } from '../../activities/constraints.js';
import type { Dependencies, FreezeWatch } from '../../activities/deps.js';
import { execute } from '../../activities/execute.js';
import { CountersignError, type ErrorCode } from '../../src/action/errors.js';
import type { Freeze } from '../../src/action/freeze.js';
import type { GrantClaims } from '../../src/action/grant.js';
import { idempotencyKey } from '../../src/action/idempotency-key.js';
import { digest, type Json } from '../../src/action/json.js';
import { proposalDigest, type Proposal } from '../../src/action/proposal.js';
import type { Ledger } from '../../src/ledger/index.js';
import type { ExecuteContext, Execution, Idempotency, LookUp, ReadContext, Tool } from '../../src/tools/tool.js';
import { generateKeyringFile, parseKeyring, signGrant, type Keyring } from '../../src/trust/index.js';
import { until } from '../support/until.js';
import { newTenant, recordOutcome, settlement, startLedger, type TestLedger } from '../ledger/support.js';

let at: TestLedger;
let keyring: Keyring;

beforeAll(async () => {
  at = await startLedger();
  keyring = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'test');
});
afterAll(() => at.stop());

/** What the tool does when it is called: its effect, or how it fails. */
type Effect = (context: ExecuteContext) => Execution | Promise<Execution>;

interface World {
  readonly proposal: Proposal;
  readonly claims: GrantClaims;
  /** Runs the activity under a grant of these claims. */
  run(options?: RunOptions): Promise<EffectReport>;
  /** What the tool was called with, call by call. */
  readonly calls: ExecuteContext[];
  /** The keys that were looked up. */
  readonly lookedUp: string[];
  /** The fault points that were passed, and `effect` where the tool was called. */
  readonly passed: string[];
  /** Stops the effect that runs, as a freeze does. */
  freeze(freeze: Freeze): void;
  /** What happens at each fault point. */
  at: (point: string) => Promise<void>;
  /** Default: because somebody asked for it. */
  cancel(details?: ActivityCancellationDetails): void;
  readonly heartbeats: number[];
  /** How many effects are watched. */
  watching: number;
}

interface RunOptions {
  readonly grant?: string;
  readonly claims?: Partial<GrantClaims>;
  readonly proposal?: unknown;
  readonly workflowId?: string;
  readonly activityId?: string;
  readonly attempt?: number;
  readonly ledger?: Ledger;
}

interface Input {
  readonly amount: number;
}

interface WorldOptions {
  readonly idempotency?: Idempotency;
  readonly effect?: Effect;
  readonly lookUp?: LookUp;
  readonly tool?: Partial<Tool<Input>>;
  readonly claims?: Partial<GrantClaims>;
  /** When the ledger lets the grant expire. Default as it says itself. */
  readonly expiresInLedger?: Date;
}

/** An action that was admitted, with a tool of its own. */
async function world(options: WorldOptions = {}): Promise<World> {
  const tenant = newTenant();
  const calls: ExecuteContext[] = [];
  const lookedUp: string[] = [];
  const passed: string[] = [];
  let stop: (freeze: Freeze) => void = () => {};
  let environment: MockActivityEnvironment | undefined;
  const tool: Tool<Input> = {
    name: 'payments',
    kind: 'test',
    environment: 'production',
    idempotency: options.idempotency ?? 'none',
    constraints: [],
    timeoutMs: 5_000,
    input: z.strictObject({ amount: z.number().int() }),
    actionType: ({ amount }) => (amount === 0 ? 'READ' : 'WRITE'),
    operation: () => 'pay',
    preview: async () => ({
      rows: 1,
      targets: ['accounts'],
      reads: [],
      schemaChange: false,
      sample: [],
      summary: 'pay',
    }),
    capture: async () => ({}),
    execute: async (_input, context) => {
      calls.push(context);
      passed.push('effect');
      return (options.effect ?? (() => ({ result: { paid: true } })))(context);
    },
    ...(options.lookUp === undefined
      ? {}
      : {
          lookUp: async (key: string, { signal }: ReadContext) => {
            lookedUp.push(signal.aborted ? 'too late' : key);
            return options.lookUp as LookUp;
          },
        }),
    verify: () => [],
    close: async () => {},
    ...options.tool,
  };
  const freezes: FreezeWatch = {
    begin() {
      const controller = new AbortController();
      let found: Freeze | undefined;
      one.watching += 1;
      stop = (freeze) => {
        found = freeze;
        controller.abort();
      };
      return {
        signal: controller.signal,
        get freeze() {
          return found;
        },
        end: () => void (one.watching -= 1),
      };
    },
  };
  const proposal: Proposal = { actionId: randomUUID(), tool: tool.name, input: { amount: 5 } };
  const iat = Math.floor(Date.now() / 1000);
  const claims: GrantClaims = {
    jti: randomUUID(),
    tenant,
    actionId: proposal.actionId,
    agent: 'agent-1',
    tool: tool.name,
    environment: 'production',
    actionType: 'WRITE',
    proposalDigest: proposalDigest(proposal),
    policyDigest: digest('policy'),
    preDigest: digest('pre'),
    planDigest: digest('plan'),
    approvals: [],
    constraints: [{ name: 'max_amount', value: 10, policy: 'cap' }],
    targets: ['accounts'],
    credentials: ['credential-1'],
    rows: 3,
    iat,
    exp: iat + 60,
    ...options.claims,
  };
  await admit(claims, options.expiresInLedger);
  const one: World = {
    proposal,
    claims,
    calls,
    lookedUp,
    passed,
    heartbeats: [],
    watching: 0,
    freeze: (freeze) => stop(freeze),
    at: async () => {},
    cancel: (details) => environment?.cancel('CANCELLED', details),
    async run(run = {}) {
      const info = {
        workflowExecution: { workflowId: run.workflowId ?? `${tenant}/${proposal.actionId}`, runId: 'run-1' },
        activityId: run.activityId ?? '1',
        attempt: run.attempt ?? 1,
      };
      // Refusals that tests provoke are warnings there.
      environment = new MockActivityEnvironment(info, { logger: new DefaultLogger('ERROR') });
      environment.on('heartbeat', () => one.heartbeats.push(performance.now()));
      // `execute` has no use for the others.
      const deps = {
        tools: new Map([[tool.name, tool]]),
        ledger: run.ledger ?? at.ledger,
        keyring,
        freezes,
        faults: {
          at: async (point: string) => {
            passed.push(point);
            await one.at(point);
          },
        },
      } as unknown as Dependencies;
      const grant = run.grant ?? (await signGrant(keyring, { ...claims, ...run.claims }));
      return environment.run(() => execute(('proposal' in run ? run.proposal : proposal) as Proposal, grant, deps));
    },
  };
  return one;
}

async function admit(claims: GrantClaims, expiresAt = new Date(claims.exp * 1000)): Promise<void> {
  const { tenant, actionId, proposalDigest, agent, tool, environment, targets, jti } = claims;
  const request = { tenant, actionId, digest: proposalDigest, agent, tool, environment, targets };
  const ttlSeconds = Math.round((expiresAt.getTime() - Date.now()) / 1000);
  await at.ledger.actions.admit({ ...request, grant: { jti, ttlSeconds } });
}

/** Another grant of the same action: what an earlier one did is for the look-up to say. */
async function nextGrant({ claims }: World): Promise<Partial<GrantClaims>> {
  const iat = Math.floor(Date.now() / 1000);
  const next = { jti: randomUUID(), iat, exp: iat + 60 };
  await admit({ ...claims, ...next });
  return next;
}

function fails(code: ErrorCode, more: { readonly retryable?: boolean; readonly retryAfterMs?: number } = {}): Effect {
  return () => {
    throw new CountersignError(code, 'As the test says.', more);
  };
}

/** A ledger that is away: its connections are closed. */
async function ledgerAway(): Promise<Ledger> {
  const other = await at.another();
  await other.close();
  return other;
}

/** Another worker made an effect under this grant and died before it could say so. */
async function triedBefore(one: World): Promise<void> {
  const { claims } = one;
  const { jti, tenant, actionId, agent, tool, targets } = claims;
  const use = await at.ledger.grants.use({ jti, tenant, actionId, agent, tool, targets, usedBy: 'run-1/1' });
  expect(use).toMatchObject({ kind: 'first' });
}

const FREEZE: Freeze = {
  id: 7,
  tenant: 'acme',
  scope: { kind: 'all' },
  reason: 'something is wrong',
  by: 'olga',
  at: new Date(0).toISOString(),
} as unknown as Freeze;

describe('an effect under a good grant', () => {
  test('is made once, and the tool gets what was granted and nothing else', async () => {
    const one = await world();
    const report = await one.run();
    expect(report).toMatchObject({ kind: 'done', execution: { result: { paid: true } } });
    expect(report).not.toHaveProperty('usedBy');
    expect(one.calls).toHaveLength(1);
    const [context] = one.calls;
    expect(context).toMatchObject({
      idempotencyKey: idempotencyKey(one.claims),
      preDigest: one.claims.preDigest,
      constraints: one.claims.constraints,
      rows: 3,
      retried: false,
    });
    expect(context).not.toHaveProperty('rehearsal');
    expect(one.watching).toBe(0);
    expect(one.passed).toEqual(['execute.before-effect', 'effect', 'execute.after-effect']);
  });

  test('that was rehearsed is bound to what the rehearsal did', async () => {
    const rehearsal = digest('rehearsal');
    const one = await world({ claims: { rehearsal } });
    await one.run();
    expect(one.calls[0]?.rehearsal).toBe(rehearsal);
  });

  test('states when the attempt began, which is before the tool was called', async () => {
    const before = Date.now();
    const report = await (await world()).run();
    const { startedAt } = report as Extract<EffectReport, { kind: 'done' }>;
    expect(startedAt).toBeGreaterThanOrEqual(before);
    expect(startedAt).toBeLessThanOrEqual(Date.now());
  });

  test('sends a heartbeat only after it has run for a second', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    // The process is older than the effect.
    vi.advanceTimersByTime(5_000);
    try {
      const one: World = await world({
        effect: (context) => {
          vi.advanceTimersByTime(1_000);
          context.heartbeat();
          const early = one.heartbeats.length;
          vi.advanceTimersByTime(1);
          context.heartbeat();
          return { result: { early } };
        },
      });
      expect(await one.run()).toMatchObject({ execution: { result: { early: 0 } } });
      expect(one.heartbeats).toHaveLength(1);
    } finally {
      vi.useRealTimers();
    }
  });

  // Two bytes are the quotation marks.
  const LARGEST = 'x'.repeat(256 * 1024 - 2);
  const omitted = {
    truncated: true,
    limitBytes: 262_144,
    omitted: 'The result is 262145 bytes; at most 262144 are carried.',
    more: 'Read it from the system itself.',
  };
  test.each<[string, Json, Json]>([
    ['of 256 KiB is carried', LARGEST, LARGEST],
    ['of a byte more is left out, with what to do', `${LARGEST}x`, omitted],
  ])('whose result is %s', async (_what, result, carried) => {
    const one = await world({ effect: () => ({ result, affectedRows: { accounts: 1 } }) });
    const { execution } = (await one.run()) as Extract<EffectReport, { kind: 'done' }>;
    expect(execution).toEqual({ result: carried, affectedRows: { accounts: 1 } });
  });

  test('whose result is no JSON is reported as done all the same', async () => {
    const one = await world({ effect: () => ({ result: { at: Number.NaN } as unknown as Json }) });
    const omitted = expect.stringContaining('result.at') as string;
    expect(await one.run()).toMatchObject({ kind: 'done', execution: { result: { truncated: true, omitted } } });
  });

  test('that only reads fails when its result is too large to carry', async () => {
    const proposal: Proposal = { actionId: randomUUID(), tool: 'payments', input: { amount: 0 } };
    const claims = {
      actionId: proposal.actionId,
      actionType: 'READ' as const,
      proposalDigest: proposalDigest(proposal),
    };
    const one = await world({ claims, effect: () => ({ result: 'x'.repeat(300_000) }) });
    const report = await one.run({ proposal, workflowId: `${one.claims.tenant}/${proposal.actionId}` });
    expect(report).toMatchObject({
      kind: 'not_done',
      usedBy: 'run-1/1',
      error: {
        code: 'TOOL_FAILED',
        field: 'result',
        expected: 'at most 262144 bytes',
        fix: 'Ask for fewer rows or columns.',
      },
    });
  });
});

describe('a grant that does not fit is refused before the ledger and the tool are asked', () => {
  const INVALID = { kind: 'not_done', notAttempted: true, error: { code: 'GRANT_INVALID' } };

  test.each<[string, (one: World) => RunOptions, string]>([
    ['the workflow of another action', ({ claims }) => ({ workflowId: `${claims.tenant}/another` }), 'workflowId'],
    ['the workflow of another tenant', ({ claims }) => ({ workflowId: `other/${claims.actionId}` }), 'workflowId'],
    [
      'a proposal with another input',
      ({ proposal }) => ({ proposal: { ...proposal, input: { amount: 6 } } }),
      'proposal',
    ],
    ['no proposal at all', () => ({ proposal: null }), 'proposal'],
    ['a tool in another environment', () => ({ claims: { environment: 'staging' } }), 'tool.environment'],
    ['another action type than the input has', () => ({ claims: { actionType: 'READ' } }), 'proposal.input'],
  ])('for %s', async (_what, options, field) => {
    const one = await world();
    expect(await one.run(options(one))).toMatchObject({ ...INVALID, error: { code: 'GRANT_INVALID', field } });
    expect(one.calls).toHaveLength(0);
    // It is as good as new for what it was signed for.
    expect(await one.run()).toMatchObject({ kind: 'done' });
  });

  test('for an input that the tool does not take any more', async () => {
    const one = await world({ tool: { input: z.strictObject({ amount: z.string() }) as never } });
    const report = await one.run();
    expect(report).toMatchObject({
      kind: 'not_done',
      error: { code: 'INVALID_INPUT', field: 'proposal.input.amount' },
    });
  });

  test('for a proposal that is no JSON', async () => {
    const one = await world();
    const report = await one.run({ proposal: { ...one.proposal, input: { amount: Number.NaN } } });
    expect(report).toMatchObject({
      kind: 'not_done',
      notAttempted: true,
      error: { code: 'INVALID_NUMBER', field: 'proposal.input.amount' },
    });
  });

  test('and a fault of our own in the check refuses nothing: the attempt is repeated', async () => {
    const broken = () => {
      throw new TypeError('undefined is not a function');
    };
    const one = await world({ tool: { actionType: broken } });
    await expect(one.run()).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(one.calls).toHaveLength(0);
  });

  test('for a tool that this worker does not have', async () => {
    const one = await world();
    expect(await one.run({ claims: { tool: 'other' } })).toMatchObject({
      kind: 'not_done',
      error: { code: 'UNKNOWN_TOOL' },
    });
  });

  test('and in a later attempt, whose worker may have other tools, the outcome is unknown', async () => {
    const one = await world();
    const report = await one.run({ attempt: 2, claims: { environment: 'staging' } });
    expect(report).toMatchObject({ kind: 'unknown', error: { code: 'GRANT_INVALID' } });
    expect(one.calls).toHaveLength(0);
  });
});

describe('the ledger lets a grant be used once', () => {
  test('and no other activity uses it after that', async () => {
    const one = await world();
    expect(await one.run()).toMatchObject({ kind: 'done' });
    expect(await one.run({ activityId: '2' })).toMatchObject({
      kind: 'not_done',
      notAttempted: true,
      error: {
        code: 'GRANT_REPLAYED',
        message: 'The grant was used before, by run-1/1.',
        field: 'grant',
        expected: 'a grant that was never used',
      },
    });
    expect(one.calls).toHaveLength(1);
  });

  test('and never after the action has ended', async () => {
    const one = await world();
    await recordOutcome(at.ledger, settlement(one.claims, { proposalDigest: one.claims.proposalDigest }));
    expect(await one.run()).toMatchObject({ kind: 'not_done', error: { code: 'GRANT_REPLAYED', field: 'grant' } });
    expect(one.calls).toHaveLength(0);
  });

  test('and not one that it never admitted', async () => {
    const one = await world();
    const report = await one.run({ claims: { jti: randomUUID() } });
    expect(report).toMatchObject({ kind: 'not_done', error: { code: 'GRANT_INVALID', field: 'grant' } });
  });

  test('and none of a credential that was revoked since', async () => {
    const one = await world();
    const { tenant } = one.claims;
    await at.ledger.controls.revoke({ tenant, jti: 'credential-1', by: 'olga', reason: 'lost' });
    expect(await one.run()).toMatchObject({
      kind: 'not_done',
      notAttempted: true,
      error: { code: 'CREDENTIAL_REVOKED' },
    });
    expect(one.calls).toHaveLength(0);
  });

  test('and one that names no credential rests on none', async () => {
    const one = await world();
    const { credentials: _, ...claims } = one.claims;
    expect(await one.run({ grant: await signGrant(keyring, claims) })).toMatchObject({ kind: 'done' });
  });

  test('and none that a freeze stops, also in a later attempt, for the ledger knows that nothing was begun', async () => {
    const one = await world();
    const { tenant } = one.claims;
    await at.ledger.controls.freeze({
      tenant,
      scope: { kind: 'target', value: 'accounts' },
      reason: 'stop',
      by: 'olga',
    });
    const report = await one.run({ attempt: 2 });
    expect(report).toMatchObject({ kind: 'not_done', notAttempted: true, error: { code: 'FROZEN' } });
    expect(one.calls).toHaveLength(0);
  });

  test('and none after its expiry, by the ledger’s clock', async () => {
    const one = await world({ expiresInLedger: new Date(Date.now() - 1_000) });
    expect(await one.run()).toMatchObject({
      kind: 'grant_lapsed',
      notAttempted: true,
      error: { code: 'GRANT_EXPIRED' },
    });
    expect(one.calls).toHaveLength(0);
  });

  test('and one that was signed for less time than the ledger has for it is returned: what comes next knows that nothing was sent', async () => {
    const now = Math.floor(Date.now() / 1000);
    const one = await world({
      claims: { iat: now - 60, exp: now - 1 },
      expiresInLedger: new Date(Date.now() + 60_000),
    });
    expect(await one.run()).toMatchObject({
      kind: 'grant_lapsed',
      error: {
        code: 'GRANT_EXPIRED',
        field: 'grant.exp',
        message: `The grant expired at ${new Date((now - 1) * 1000).toISOString()}.`,
      },
    });
    expect(one.calls).toHaveLength(0);
    expect(await one.run()).toEqual({
      kind: 'grant_lapsed',
      usedBy: 'run-1/1',
      error: { code: 'TOOL_UNAVAILABLE', message: 'Nothing was sent under this grant.' },
      at: expect.any(Number),
      tookMs: expect.any(Number),
      seal: expect.anything(),
    });
    // The next grant of the action is a first attempt.
    expect(await one.run({ claims: await nextGrant(one) })).toMatchObject({ kind: 'done' });
  });

  test('and while the ledger is away, nothing is decided: the attempt is repeated', async () => {
    const one = await world();
    await expect(one.run({ ledger: await ledgerAway() })).rejects.toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
      retryable: true,
    });
    expect(one.calls).toHaveLength(0);
  });
});

describe('after an attempt that may have made the effect', () => {
  const UNKNOWN = { kind: 'unknown', error: { code: 'EFFECT_UNKNOWN' } };

  test.each<[string, WorldOptions]>([
    ['a tool without idempotency', { idempotency: 'none', lookUp: { happened: 'no' } }],
    ['a tool that cannot look up', { idempotency: 'lookup' }],
    ['a look-up that cannot tell', { idempotency: 'lookup', lookUp: { happened: 'unknown', reason: 'away' } }],
  ])('%s leaves the outcome unknown, and nothing is sent', async (_what, options) => {
    const one = await world(options);
    await triedBefore(one);
    const report = await one.run();
    expect(report).toMatchObject(UNKNOWN);
    expect(report).not.toHaveProperty('usedBy');
    expect(one.calls).toHaveLength(0);
  });

  test('a look-up that found it reports what was found, and nothing is sent', async () => {
    const execution = { result: { found: true } };
    const one = await world({ idempotency: 'lookup', lookUp: { happened: 'yes', execution } });
    await triedBefore(one);
    expect(await one.run()).toMatchObject({ kind: 'done', execution, startedAt: expect.any(Number) });
    expect(one.calls).toHaveLength(0);
    expect(one.lookedUp).toEqual([idempotencyKey(one.claims)]);
  });

  test('a look-up that rules it out lets it be made', async () => {
    const one = await world({ idempotency: 'lookup', lookUp: { happened: 'no' } });
    await triedBefore(one);
    expect(await one.run()).toMatchObject({ kind: 'done' });
    expect(one.calls[0]?.retried).toBe(false);
  });

  test('a system that makes one effect of it is sent it again, and told so', async () => {
    const one = await world({ idempotency: 'native', lookUp: { happened: 'no' } });
    await triedBefore(one);
    expect(await one.run()).toMatchObject({ kind: 'done' });
    expect(one.calls[0]?.retried).toBe(true);
    expect(one.lookedUp).toEqual([]);
  });

  test('the operation says whether it may be sent again, where operations differ', async () => {
    const one = await world({ idempotency: 'native', tool: { idempotencyOf: () => 'none' } });
    await triedBefore(one);
    expect(await one.run()).toMatchObject(UNKNOWN);
  });

  test('another grant of the same action is no first attempt either', async () => {
    const one = await world({ idempotency: 'none' });
    await triedBefore(one);
    expect(await one.run({ claims: await nextGrant(one) })).toMatchObject(UNKNOWN);
    expect(one.calls).toHaveLength(0);
  });

  test.each([
    ['a freeze', 'FROZEN'],
    ['a revocation', 'CREDENTIAL_REVOKED'],
  ] as const)('%s since then has even a native effect looked up instead of sent', async (_what, code) => {
    const happened = await world({ idempotency: 'native', lookUp: { happened: 'yes', execution: { result: null } } });
    const ruledOut = await world({ idempotency: 'native', lookUp: { happened: 'no' } });
    const reports = {
      happened: { kind: 'done' },
      ruledOut: { kind: 'not_done', notAttempted: true, usedBy: 'run-1/1', error: { code } },
    };
    for (const [one, expected] of [
      [happened, reports.happened],
      [ruledOut, reports.ruledOut],
    ] as const) {
      const { tenant } = one.claims;
      const grant = await signGrant(keyring, one.claims);
      const { jti, actionId, agent, tool, targets } = one.claims;
      const credentials = ['credential-1'];
      await at.ledger.grants.use({ jti, tenant, actionId, agent, tool, targets, credentials, usedBy: 'run-1/1' });
      if (code === 'FROZEN')
        await at.ledger.controls.freeze({ tenant, scope: { kind: 'all' }, reason: 'stop', by: 'olga' });
      else await at.ledger.controls.revoke({ tenant, jti: 'credential-1', by: 'olga', reason: 'lost' });
      expect(await one.run({ grant })).toMatchObject(expected);
      expect(one.calls).toHaveLength(0);
    }
  });
});

describe('a tool that fails', () => {
  test.each<[string, Effect, ErrorCode]>([
    ['says that the effect may have happened', fails('EFFECT_UNKNOWN'), 'EFFECT_UNKNOWN'],
    ['has a fault of its own', fails('INTERNAL'), 'INTERNAL'],
    [
      'throws anything else',
      () => {
        throw new TypeError('undefined is not a function');
      },
      'EFFECT_UNKNOWN',
    ],
  ])('and %s leaves the outcome unknown', async (_what, effect, code) => {
    const one = await world({ effect });
    const report = await one.run();
    expect(report).toMatchObject({ kind: 'unknown', error: { code } });
    expect(report).not.toHaveProperty('usedBy');
    expect(one.watching).toBe(0);
  });

  test('and leaves the effect open is asked again where that makes one effect, after a pause', async () => {
    const one = await world({ idempotency: 'native', effect: fails('EFFECT_UNKNOWN', { retryAfterMs: 3_000 }) });
    await expect(one.run()).rejects.toMatchObject({
      code: 'EFFECT_UNKNOWN',
      retryable: true,
      retryAfterMs: expect.toSatisfy((ms: number) => ms >= 3_000 && ms <= 3_300),
    });
  });

  test('and leaves it open to the last of its sends leaves the outcome unknown', async () => {
    const one = await world({
      idempotency: 'native',
      effect: fails('EFFECT_UNKNOWN'),
      tool: { sends: { max: 1, withinMs: 60_000 } },
    });
    const effect: Effect = async (context) => {
      await context.sends?.begin();
      throw new CountersignError('EFFECT_UNKNOWN', 'Lost.');
    };
    const other = await world({ idempotency: 'native', effect, tool: { sends: { max: 1, withinMs: 60_000 } } });
    await expect(one.run()).rejects.toMatchObject({ code: 'EFFECT_UNKNOWN' });
    expect(await other.run()).toMatchObject({ kind: 'unknown', error: { code: 'EFFECT_UNKNOWN' } });
  });

  test('because nothing was done and never will be is not done, with the activity that tried', async () => {
    const one = await world({ effect: fails('TOOL_FAILED') });
    const report = await one.run();
    expect(report).toMatchObject({ kind: 'not_done', usedBy: 'run-1/1', error: { code: 'TOOL_FAILED' } });
    expect(report).not.toHaveProperty('notAttempted');
  });

  test('before anything was sent returns its grant, and says when to come again', async () => {
    const one = await world({ effect: fails('TOOL_UNAVAILABLE', { retryable: true, retryAfterMs: 2_000 }) });
    const report = await one.run();
    expect(report).toMatchObject({ kind: 'grant_lapsed', usedBy: 'run-1/1', error: { code: 'TOOL_UNAVAILABLE' } });
    const { retryAfterMs } = report as { retryAfterMs?: number };
    expect(retryAfterMs).toBeGreaterThanOrEqual(2_000);
    expect(retryAfterMs).toBeLessThanOrEqual(2_200);
    // Under the same grant nothing is sent any more; the next one is a first attempt.
    expect(await one.run()).toMatchObject({
      kind: 'grant_lapsed',
      error: { message: 'Nothing was sent under this grant.' },
    });
    expect(one.calls).toHaveLength(1);
    expect(await one.run({ claims: await nextGrant(one) })).toMatchObject({ kind: 'grant_lapsed' });
    expect(one.calls).toHaveLength(2);
  });

  test('before anything was sent, at the last of its sends, is over', async () => {
    const effect: Effect = async (context) => {
      await context.sends?.begin();
      throw new CountersignError('TOOL_UNAVAILABLE', 'Put off.', { retryable: true });
    };
    const one = await world({ effect, tool: { sends: { max: 1, withinMs: 60_000 } } });
    expect(await one.run()).toMatchObject({
      kind: 'not_done',
      usedBy: 'run-1/1',
      error: { code: 'TOOL_UNAVAILABLE', message: 'Put off. It is not sent again.' },
    });
  });

  test('because the state changed returns its grant, at once, and its send is not counted', async () => {
    const one = await world({ effect: fails('STATE_CHANGED'), tool: { sends: { max: 1, withinMs: 60_000 } } });
    for (let i = 0; i < 2; i++) {
      const report = await one.run({ claims: await nextGrant(one) });
      expect(report).toMatchObject({ kind: 'grant_lapsed', usedBy: 'run-1/1', error: { code: 'STATE_CHANGED' } });
      expect(report).not.toHaveProperty('retryAfterMs');
    }
    expect(one.calls).toHaveLength(2);
  });

  test('because the state changed, after it had begun to send, has that send counted', async () => {
    const effect: Effect = async (context) => {
      await context.sends?.begin();
      throw new CountersignError('STATE_CHANGED', 'Changed.');
    };
    const one = await world({ effect, tool: { sends: { max: 1, withinMs: 60_000 } } });
    expect(await one.run()).toMatchObject({ kind: 'grant_lapsed' });
    expect(await one.run({ claims: await nextGrant(one) })).toMatchObject({ error: { code: 'TOOL_UNAVAILABLE' } });
    expect(one.calls).toHaveLength(1);
  });

  test('because it was put off has the send counted that it was put off from', async () => {
    const effect = fails('TOOL_UNAVAILABLE', { retryable: true });
    const one = await world({ effect, tool: { sends: { max: 1, withinMs: 60_000 } } });
    expect(await one.run()).toMatchObject({ kind: 'grant_lapsed', error: { message: 'As the test says.' } });
    expect(await one.run({ claims: await nextGrant(one) })).toMatchObject({
      error: { message: 'It is not sent again.' },
    });
    expect(one.calls).toHaveLength(1);
  });

  test('because the state changed, where the system keeps keys, has the grant lapse without a return', async () => {
    const one = await world({ idempotency: 'native', effect: fails('STATE_CHANGED') });
    expect(await one.run()).toMatchObject({ kind: 'grant_lapsed', error: { code: 'STATE_CHANGED' } });
    expect(await one.run()).toMatchObject({ kind: 'grant_lapsed', error: { code: 'STATE_CHANGED' } });
    expect(one.calls.map(({ retried }) => retried)).toEqual([false, true]);
  });

  test('before anything was sent, while the ledger is away, is not done: no later attempt could know', async () => {
    const ledger = await at.another();
    const effect: Effect = async () => {
      await ledger.close();
      throw new CountersignError('STATE_CHANGED', 'Changed.');
    };
    const one = await world({ effect });
    const report = await one.run({ ledger });
    expect(report).toMatchObject({ kind: 'not_done', usedBy: 'run-1/1', error: { code: 'STATE_CHANGED' } });
  });

  test('before anything was sent, when the action ended meanwhile, is not done', async () => {
    const one: World = await world({
      effect: async () => {
        const { claims } = one;
        const outcome = settlement(claims, { proposalDigest: claims.proposalDigest });
        await recordOutcome(at.ledger, outcome);
        throw new CountersignError('STATE_CHANGED', 'Changed.');
      },
    });
    expect(await one.run()).toMatchObject({ kind: 'not_done', error: { code: 'STATE_CHANGED' } });
  });

  test('and keeps keys is asked again under the same grant, as long as it may be', async () => {
    const one = await world({ idempotency: 'native', effect: fails('TOOL_UNAVAILABLE', { retryable: true }) });
    const error: unknown = await one.run().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'TOOL_UNAVAILABLE', retryable: true, message: 'As the test says.' });
    expect((error as CountersignError).retryAfterMs).toBeGreaterThan(0);
    expect((error as Error).cause).toBeInstanceOf(CountersignError);
  });

  test.each([
    ['the first attempt', false, 'not_done'],
    ['an attempt after one that may have sent', true, 'unknown'],
  ] as const)('at its last send in %s: %s', async (_what, again, kind) => {
    const effect: Effect = async (context) => {
      await context.sends?.begin();
      throw new CountersignError('TOOL_UNAVAILABLE', 'Put off.', { retryable: true });
    };
    const one = await world({
      idempotency: 'native',
      effect,
      tool: { sends: { max: again ? 2 : 1, withinMs: 60_000 } },
    });
    if (again) await triedBefore(one);
    expect(await one.run()).toMatchObject({
      kind,
      error: { code: 'TOOL_UNAVAILABLE', message: 'Put off. It is not sent again.' },
    });
  });

  test('at its last send, after a look-up that ruled the earlier attempt out, is not done', async () => {
    const effect: Effect = async (context) => {
      await context.sends?.begin();
      throw new CountersignError('TOOL_UNAVAILABLE', 'Put off.', { retryable: true });
    };
    const sends = { max: 2, withinMs: 60_000 };
    const one = await world({ idempotency: 'lookup', lookUp: { happened: 'no' }, effect, tool: { sends } });
    await triedBefore(one);
    expect(await one.run()).toMatchObject({ kind: 'not_done', error: { code: 'TOOL_UNAVAILABLE' } });
  });

  test('at its last send, and only reads, is not done: there is no effect that an earlier attempt could have made', async () => {
    const effect: Effect = async (context) => {
      await context.sends?.begin();
      throw new CountersignError('TOOL_UNAVAILABLE', 'Put off.', { retryable: true });
    };
    const reads: WorldOptions['tool'] = { actionType: () => 'READ', sends: { max: 2, withinMs: 60_000 } };
    const one = await world({ idempotency: 'native', effect, tool: reads, claims: { actionType: 'READ' } });
    await triedBefore(one);
    expect(await one.run()).toMatchObject({ kind: 'not_done', error: { code: 'TOOL_UNAVAILABLE' } });
  });

  test('for good says nothing of an earlier attempt that it cannot speak of', async () => {
    const one = await world({ idempotency: 'native', effect: fails('TOOL_FAILED') });
    await triedBefore(one);
    expect(await one.run()).toMatchObject({ kind: 'not_done', error: { code: 'TOOL_FAILED' } });
  });

  test('without more sends than the ledger counts: nothing is sent once the action has ended', async () => {
    const one: World = await world({
      effect: async ({ sends }) => {
        await sends?.begin();
        const { claims } = one;
        await recordOutcome(at.ledger, settlement(claims, { proposalDigest: claims.proposalDigest }));
        await sends?.begin();
        return { result: null };
      },
    });
    expect(await one.run()).toMatchObject({ kind: 'not_done', error: { code: 'GRANT_REPLAYED' } });
  });
});

describe('an attempt that was taken for dead', () => {
  /** The time goes on, as it does for a process that is stopped. */
  function stopped(): void {
    const now = Date.now() + 60_000;
    vi.spyOn(Date, 'now').mockImplementation(() => now);
  }

  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** The server has given it up, and started the next one. */
  async function overtake({ claims }: World): Promise<void> {
    const { jti, tenant, actionId, agent, tool, targets } = claims;
    const next = { jti, tenant, actionId, agent, tool, targets, usedBy: 'run-1/1', attempt: 2 };
    expect(await at.ledger.grants.use(next)).toMatchObject({ kind: 'again' });
  }

  test('and comes back before it calls the tool does not call it, and says nothing of the effect', async () => {
    const one = await world({ idempotency: 'lookup', lookUp: { happened: 'no' } });
    one.at = async (point) => {
      if (point !== 'execute.before-effect') return;
      await overtake(one);
      stopped();
    };
    expect(await one.run()).toMatchObject({ kind: 'unknown', error: { code: 'EFFECT_UNKNOWN' } });
    expect(one.calls).toEqual([]);
  });

  test('and comes back before it sends does not send', async () => {
    const sent: string[] = [];
    const one: World = await world({
      effect: async ({ sends }) => {
        await overtake(one);
        stopped();
        await sends?.begin();
        sent.push('once');
        return { result: null };
      },
    });
    expect(await one.run()).toMatchObject({ kind: 'unknown', error: { code: 'EFFECT_UNKNOWN' } });
    expect(sent).toEqual([]);
  });

  test('with its whole run, and comes back while another run makes the effect, does not make it too', async () => {
    const one = await world({ idempotency: 'lookup', lookUp: { happened: 'no' } });
    const next = await nextGrant(one);
    let other: EffectReport | undefined;
    one.at = async (point) => {
      if (point !== 'execute.before-effect') return;
      one.at = async () => {};
      other = await one.run({ claims: next, activityId: '2' });
      stopped();
    };
    expect(await one.run()).toMatchObject({ kind: 'unknown', error: { code: 'EFFECT_UNKNOWN' } });
    expect(other).toMatchObject({ kind: 'done' });
    expect(one.calls).toHaveLength(1);
  });

  test('and was not, goes on', async () => {
    const one = await world({
      effect: async ({ sends }) => {
        stopped();
        await sends?.begin();
        return { result: null };
      },
    });
    expect(await one.run()).toMatchObject({ kind: 'done' });
  });

  test('and did not reach the system returns no grant under which another one may have', async () => {
    const one: World = await world({
      effect: async () => {
        await overtake(one);
        throw new CountersignError('TOOL_UNAVAILABLE', 'Refused.', { retryable: true });
      },
    });
    expect(await one.run()).toMatchObject({ kind: 'unknown', error: { code: 'EFFECT_UNKNOWN' } });
    expect((await at.ledger.actions.find(one.claims.tenant, one.claims.actionId))?.uses).toBe(1);
  });

  test('is not for looking long whether an earlier one made the effect: it says that it goes on', async () => {
    const one: World = await world({
      idempotency: 'lookup',
      tool: {
        lookUp: async () => {
          await until(
            () => Promise.resolve(one.heartbeats.length),
            (beats) => beats > 0,
          );
          return { happened: 'no' };
        },
      },
    });
    await triedBefore(one);
    expect(await one.run({ attempt: 2 })).toMatchObject({ kind: 'done' });
  });
});

describe('an effect that is stopped while it runs', () => {
  test.each<[string, (one: World) => void, ErrorCode, string]>([
    [
      'by a freeze, having done nothing, says so',
      (one) => one.freeze(FREEZE),
      'FROZEN',
      'It came while the effect ran: It was given up.',
    ],
    ['by a cancellation', (one) => one.cancel(), 'CANCELLED', 'It was given up.'],
  ])('%s', async (_what, stop, code, said) => {
    const one: World = await world({
      effect: ({ signal }) => {
        stop(one);
        expect(signal.aborted).toBe(true);
        throw new CountersignError('TOOL_FAILED', 'It was given up.');
      },
    });
    const error = { code, message: expect.stringContaining(said) as string };
    expect(await one.run()).toMatchObject({ kind: 'stopped', usedBy: 'run-1/1', error });
    expect(one.watching).toBe(0);
  });

  test.each(['native', 'none'] as const)(
    'and may have been made is unknown, and not sent again (%s)',
    async (idempotency) => {
      const one: World = await world({
        idempotency,
        effect: () => {
          one.freeze(FREEZE);
          throw new CountersignError('EFFECT_UNKNOWN', 'The reply was lost.');
        },
      });
      const report = await one.run();
      expect(report).toMatchObject({ kind: 'unknown', error: { code: 'FROZEN' } });
      expect((report as { error: { message: string } }).error.message).toContain('The reply was lost.');
    },
  );

  test('before anything was sent returns no grant: the action is over', async () => {
    const one: World = await world({
      effect: () => {
        one.cancel();
        throw new CountersignError('TOOL_UNAVAILABLE', 'Put off.', { retryable: true });
      },
    });
    expect(await one.run()).toMatchObject({ kind: 'stopped', error: { code: 'CANCELLED' } });
  });
});

describe('an effect that is interrupted because its worker stops', () => {
  const stops = (one: World): void => one.cancel(new ActivityCancellationDetails({ workerShutdown: true }));
  const givenUp =
    (code: ErrorCode): Effect =>
    ({ signal }) => {
      expect(signal.aborted).toBe(true);
      throw new CountersignError(code, 'It was given up.');
    };

  test('having done nothing, is made under a new grant, and is not cancelled', async () => {
    const one: World = await world({
      effect: (context) => {
        stops(one);
        return givenUp('TOOL_FAILED')(context);
      },
    });
    const error = { code: 'TOOL_UNAVAILABLE', message: expect.stringContaining('It was given up.') as string };
    expect(await one.run()).toMatchObject({ kind: 'grant_lapsed', usedBy: 'run-1/1', error });
    expect((await at.ledger.actions.find(one.claims.tenant, one.claims.actionId))?.uses).toBe(0);
  });

  test.each<ErrorCode>(['TOOL_FAILED', 'EFFECT_UNKNOWN'])(
    'is made by the next attempt where the system makes one effect of it (%s)',
    async (code) => {
      const one: World = await world({
        idempotency: 'native',
        effect: (context) => {
          stops(one);
          return givenUp(code)(context);
        },
      });
      await expect(one.run()).rejects.toMatchObject({ retryable: true });
    },
  );

  test('and may have been made is unknown where it cannot be sent again', async () => {
    const one: World = await world({
      effect: (context) => {
        stops(one);
        return givenUp('EFFECT_UNKNOWN')(context);
      },
    });
    expect(await one.run()).toMatchObject({ kind: 'unknown', error: { code: 'EFFECT_UNKNOWN' } });
  });

  test('while an earlier one is looked up is looked up by the next attempt', async () => {
    const one: World = await world({
      idempotency: 'lookup',
      tool: {
        lookUp: async () => {
          stops(one);
          return { happened: 'unknown', reason: 'it was interrupted' };
        },
      },
    });
    await triedBefore(one);
    await expect(one.run()).rejects.toMatchObject({ retryable: true });
  });

  test('is stopped all the same by a freeze', async () => {
    const one: World = await world({
      effect: (context) => {
        stops(one);
        one.freeze(FREEZE);
        return givenUp('TOOL_FAILED')(context);
      },
    });
    expect(await one.run()).toMatchObject({ kind: 'stopped', error: { code: 'FROZEN' } });
  });
});

test('a constraint that the tool would ignore stops the action, and says which ones it honours', () => {
  const tool = { name: 'payments', constraints: ['max_rows', 'max_amount'] } as unknown as Tool;
  const cap = (name: string) => ({ name, value: 10, policy: 'cap' });
  expect(() => assertHonourable([], tool)).not.toThrow();
  expect(() => assertHonourable([cap('max_rows'), cap('max_amount')], tool)).not.toThrow();
  expect(() => assertHonourable([cap('max_rows'), cap('mask')], tool)).toThrow(
    expect.objectContaining({
      code: 'CONSTRAINT_UNSUPPORTED',
      field: 'constraint.mask',
      expected: 'one of: max_rows, max_amount',
    }) as Error,
  );
});
