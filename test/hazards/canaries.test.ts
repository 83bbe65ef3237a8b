/** What breaks a canary that is due: workers that die, freezes, a ledger that refuses, hours that end, another config, and nobody who decides. */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { WorkflowFailedError, type ScheduleHandle, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { sql } from 'kysely';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FaultPoint } from '../../activities/deps.js';
import { CANARY_ROUND_MS } from '../../activities/canary-round.js';
import { canaryOversightOf, type CanaryFigures } from '../../src/action/canary-figures.js';
import type { Canary } from '../../src/action/canary.js';
import type { Outcome, PendingView } from '../../src/action/outcome.js';
import type { Countersign } from '../../src/client/countersign.js';
import type { CountersignConfig } from '../../src/config/config.js';
import type { CanariesConfig, OversightConfig } from '../../src/config/oversight.js';
import { canaryStanding } from '../../src/cli/canary-checks.js';
import { workerName } from '../../src/ledger/index.js';
import { faultsFromEnv, type Faults } from '../../src/worker/faults.js';
import type { WorkerOptions } from '../../src/worker/worker.js';
import { startTestGateway, type Sender, type TestGateway } from '../support/gateway.js';
import { shopTool, startStack, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { spawnWorker, type WorkerProcess } from '../support/worker-process.js';

const template = (table: string) => ({
  tool: 'shop-db',
  input: { op: 'delete', table, where: { note: 'stale' } },
  agent: { id: 'agent-1', roles: ['admin_user'] },
  reason: 'nothing says that they may go',
});
const TEMPLATES = { purge: template('sessions') };
const SHORT_LIVED = { purge: template('drafts') };
const SHORT_WAIT = `
@id("drafts-are-asked-about-briefly")
@reason("drafts are deleted by a dba")
@approval("dba, ttl=3s")
forbid (principal, action == Countersign::Action::"DELETE", resource)
when { context.targets.contains("drafts") };
`;

/** Where it is noon now, so that no test runs into the end of a day or of the hours. */
const now = new Date();
const ahead = 12 - now.getUTCHours();
const timeZone = ahead === 0 ? 'UTC' : `Etc/GMT${ahead > 0 ? '-' : '+'}${Math.abs(ahead)}`;
const today = new Intl.DateTimeFormat('en', { timeZone, weekday: 'short' }).format(now) as 'Mon';
/** So few hours that with 50 in a week, one is due in each round. */
const HOURS = { from: 11, to: 15, timeZone, days: [today] };
const OVER = { ...HOURS, from: 3, to: 4 };

let stack: Stack;
let gateway: TestGateway;
let client: Countersign;
let schedule: ScheduleHandle;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-canaries-'));
  stack = await startStack({
    schema: `
      CREATE TABLE sessions (id int PRIMARY KEY, note text NOT NULL);
      INSERT INTO sessions SELECT n, 'stale' FROM generate_series(1, 150) n;
      CREATE TABLE drafts (id int PRIMARY KEY, note text NOT NULL);
      INSERT INTO drafts VALUES (1, 'stale');`,
    files: { 'drafts.cedar': SHORT_WAIT },
    worker: false,
  });
  gateway = await startTestGateway(stack);
  client = await stack.agent();
  schedule = client.temporal.schedule.getHandle(`countersign-canaries/${stack.temporal.taskQueue}`);
  await working(['nobody'], {}, async () => {
    // Rounds come when a test says so, and never in between.
    await schedule.pause('tests');
  });
});
afterAll(async () => {
  await gateway?.stop();
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

const tenantOf = (name: string): string => `${name}-${randomUUID().slice(0, 8)}`;

function oversightOf(tenants: readonly string[], canaries: CanariesConfig = {}): OversightConfig {
  const often = { perWeek: 50, mostPerWeek: 50, hours: HOURS };
  return { canaries: { templates: TEMPLATES, tenants, ...often, ...canaries } };
}

function configOf(oversight: OversightConfig): CountersignConfig {
  return { policies: stack.policies, tools: [shopTool(stack.shopUrl)], oversight };
}

/** Leaves the schedule as it is, which would go where a worker turns off what is sent by itself. */
const UNSCHEDULED = { reconcileEveryMs: 0 };

/** While so many workers of the config run. */
async function working<T>(
  tenants: readonly string[],
  canaries: CanariesConfig,
  body: () => Promise<T>,
  { many = 1, ...more }: { readonly many?: number } & Pick<Partial<WorkerOptions>, 'faults' | 'reconcileEveryMs'> = {},
): Promise<T> {
  const workers = await Promise.all(
    Array.from({ length: many }, () =>
      stack.startWorker({ config: configOf(oversightOf(tenants, canaries)), reconcileEveryMs: 3_600_000, ...more }),
    ),
  );
  try {
    return await body();
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

type Handle = WorkflowHandle<() => Promise<Outcome>>;

/** Has the schedule begin a round. */
async function triggered(): Promise<WorkflowHandle<() => Promise<number>>> {
  const before = (await schedule.describe()).info.numActionsTaken;
  await schedule.trigger();
  const { info } = await until(
    () => schedule.describe(),
    ({ info: { numActionsTaken } }) => numActionsTaken > before,
  );
  const { workflowId, firstExecutionRunId } = info.recentActions.at(-1)?.action.workflow ?? {};
  return client.temporal.workflow.getHandle(workflowId as string, firstExecutionRunId);
}

/** The canaries that the round sends, once it has ended. */
async function sentBy(round: WorkflowHandle<() => Promise<number>>): Promise<readonly Handle[]> {
  const sent = await round.result();
  const { events = [] } = await round.fetchHistory();
  const ids = (events ?? []).flatMap(
    ({ startChildWorkflowExecutionInitiatedEventAttributes: child }) => child?.workflowId ?? [],
  );
  expect(ids).toHaveLength(sent);
  return ids.map((id) => client.temporal.workflow.getHandle(id));
}

const round = async (): Promise<readonly Handle[]> => sentBy(await triggered());

/** One that was drawn: as a round starts it. */
function due(tenant: string): Promise<Handle> {
  return client.temporal.workflow.start('canary', {
    workflowId: `${tenant}/${randomUUID()}`,
    taskQueue: stack.temporal.taskQueue,
    args: [{ template: 'purge', nonce: randomUUID() }],
  }) as Promise<Handle>;
}

async function sentTo(tenant: string): Promise<readonly Canary[]> {
  return (await stack.ledger.canaries.since(tenant, new Date(0))).canaries;
}

const shownTo = (tenant: string, many = 1): Promise<readonly Canary[]> =>
  until(
    () => sentTo(tenant),
    (sent) => sent.length >= many,
  );

/** The code with which it was not sent. */
async function refusalOf(canary: Handle | undefined): Promise<string> {
  const failed = await canary?.result().catch((error: unknown) => error);
  if (failed instanceof WorkflowFailedError && failed.cause instanceof ApplicationFailure)
    return String(failed.cause.type);
  throw new Error(`it did not fail: ${JSON.stringify(failed)}`);
}

async function inboxOf(tenant: string, who?: Sender): Promise<readonly string[]> {
  const person = who ?? (await gateway.person({ tenant }));
  const { body } = await person.get('/v1/approvals');
  return (body['approvalRequests'] as { actionId: string }[]).map(({ actionId }) => actionId);
}

async function figuresOf(tenant: string): Promise<CanaryFigures> {
  return canaryOversightOf(await sentTo(tenant), new Date()).total;
}

/** While it has a trigger that refuses. */
async function refusing<T>(what: 'insert' | 'update', tenant: string, body: () => Promise<T>): Promise<T> {
  const ask = (text: string): Promise<unknown> => stack.database.ask((kysely) => sql.raw(text).execute(kysely));
  await ask(
    `create function countersign.away() returns trigger language plpgsql as $$ begin raise exception 'away' using errcode = '57P03'; end $$`,
  );
  await ask(
    `create trigger away before ${what} on countersign.canaries for each row when (new.tenant = '${tenant}') execute function countersign.away()`,
  );
  try {
    return await body();
  } finally {
    await ask('drop function countersign.away() cascade');
  }
}

describe('the schedule', () => {
  /** The canaries of one tenant are begun six times at once. */
  async function race(tenant: string, most: number): Promise<void> {
    const started = await Promise.all(Array.from({ length: 6 }, () => due(tenant)));
    const shown = (canary: Handle): Promise<string> =>
      until(
        () => sentTo(tenant),
        (sent) => sent.some(({ actionId }) => canary.workflowId === `${tenant}/${actionId}`),
      ).then(() => 'shown');
    const ends = await Promise.all(started.map((canary) => Promise.race([refusalOf(canary), shown(canary)])));
    const refused = Array.from({ length: 6 - most }, () => 'RATE_LIMITED');
    expect(ends.sort()).toEqual([...refused, ...Array.from({ length: most }, () => 'shown')]);
  }

  test('sends each tenant one in a round of two workers, and no more than may wait, whichever of them races for the last', async () => {
    const [two, three, racing] = ['two', 'three', 'racing'].map(tenantOf) as [string, string, string];
    const tenants = [two, three, racing];
    const sendsEachOne = async (): Promise<void> => {
      const canaries = await round();
      expect(canaries.map(({ workflowId }) => workflowId.slice(0, workflowId.indexOf('/'))).sort()).toEqual(
        [...tenants].sort(),
      );
      for (const tenant of tenants) {
        const [canary] = await shownTo(tenant);
        expect(canary).not.toHaveProperty('sentBy');
        expect(await inboxOf(tenant)).toEqual([canary?.actionId]);
      }
    };
    await working(
      tenants,
      {},
      async () => {
        // Other workers started since it was paused.
        const { spec, info, state } = await schedule.describe();
        expect(spec.intervals).toMatchObject([{ every: CANARY_ROUND_MS }]);
        expect(spec.jitter).toBe(CANARY_ROUND_MS);
        // At moments of its own, and not on the quarter of the hour.
        const offsets = info.nextActionTimes.map((at) => at.getTime() % CANARY_ROUND_MS);
        expect(new Set(offsets).size).toBe(offsets.length);
        expect(offsets.length).toBeGreaterThan(2);
        expect(state.paused).toBe(true);

        await sendsEachOne();
        // Three may wait, and one does.
        await race(racing, 2);
      },
      { many: 2 },
    );
    expect(await inboxOf(racing)).toHaveLength(3);
    for (const tenant of [two, three]) expect(await sentTo(tenant)).toHaveLength(1);
  });

  test('sends no more than the week may have, whichever of two workers races for the last, and none outside of its hours', async () => {
    const tenant = tenantOf('racing');
    await working([tenant], { perWeek: 2, mostPerWeek: 2 }, () => race(tenant, 2), { many: 2 });
    expect(await inboxOf(tenant)).toHaveLength(2);
    const late = tenantOf('late');
    await working([late], { hours: OVER }, async () => {
      expect(await round()).toEqual([]);
    });
    expect(await sentTo(late)).toEqual([]);
  });
});

describe('one that is due is not sent', () => {
  test('while everything of the tenant is frozen, or the ledger refuses, and nothing of it is left there; and is again when that is over', async () => {
    const [frozen, away, leftOut] = [tenantOf('frozen'), tenantOf('away'), tenantOf('left-out')];
    const ofTenant = (canaries: readonly Handle[], tenant: string): Handle | undefined =>
      canaries.find(({ workflowId }) => workflowId.startsWith(`${tenant}/`));
    const freeze = await stack.ledger.controls.freeze({
      tenant: frozen,
      scope: { kind: 'all' },
      reason: 'incident',
      by: 'nina',
    });
    await working([frozen, away], {}, async () => {
      await refusing('insert', away, async () => {
        const canaries = await round();
        expect(await refusalOf(ofTenant(canaries, frozen))).toBe('FROZEN');
        expect([await sentTo(frozen), await inboxOf(frozen)]).toEqual([[], []]);
        const canary = ofTenant(canaries, away);
        expect(await refusalOf(canary)).toBe('LEDGER_UNAVAILABLE');
        const [, actionId = ''] = canary?.workflowId.split('/') ?? [];
        expect(await stack.ledger.approvalRequests.find(away, actionId)).toBeUndefined();
      });
      await stack.ledger.controls.unfreeze(freeze.id, { by: 'test' });
      await round();
      for (const tenant of [frozen, away]) expect(await shownTo(tenant)).toHaveLength(1);
      // Nor is one of a tenant that is configured no more.
      expect(await refusalOf(await due(leftOut))).toBe('CANARY_INVALID');
    });
    expect(await sentTo(leftOut)).toEqual([]);
    // Where fewer may come in a week than have come by now.
    await working([away], { perWeek: 1, mostPerWeek: 1 }, async () => {
      expect(await refusalOf(await due(away))).toBe('RATE_LIMITED');
    });
    expect(await sentTo(away)).toHaveLength(1);
  });

  test.each([
    ['what is sent by itself was turned off', { perWeek: 0 }],
    ['its hours ended', { hours: OVER }],
    ['its template is gone', { templates: { another: template('sessions') } }],
  ] satisfies [string, CanariesConfig][])('where, since it was drawn, %s', async (_, canaries) => {
    const tenant = tenantOf('late');
    const canary = await due(tenant);
    const refused = async (): Promise<void> => expect(await refusalOf(canary)).toBe('CANARY_INVALID');
    await working([tenant], canaries, refused, UNSCHEDULED);
    expect(await sentTo(tenant)).toEqual([]);
  });
});

/** A worker that dies at that point, and one in its place: on a task queue of their own, so that several die at the same time. */
interface Dying {
  readonly doomed: WorkerProcess;
  /** Has a round begin, as the schedule does. */
  readonly begins: () => Promise<WorkflowHandle<() => Promise<number>>>;
  readonly survivor: (canaries: CanariesConfig, body: () => Promise<void>) => Promise<void>;
}

async function dyingAt(point: FaultPoint, tenant: string, canaries?: CanariesConfig): Promise<Dying> {
  const temporal = { ...stack.temporal, taskQueue: tenant };
  const fault = `${point}:kill:${path.join(folder, tenant)}`;
  const oversight = oversightOf([tenant], canaries);
  const doomed = await spawnWorker({ ...stack, temporal }, stack.policies, fault, { oversight });
  return {
    doomed,
    begins: () =>
      client.temporal.workflow.start<() => Promise<number>>('canaryRound', {
        workflowId: `round/${tenant}`,
        taskQueue: tenant,
      }),
    survivor: async (after, body) => {
      const worker = await stack.startWorker({ temporal, config: configOf(oversightOf([tenant], after)) });
      try {
        await body();
      } finally {
        await worker.stop();
      }
    },
  };
}

/** What is shown to Dana of a canary that waits. */
async function pendingFor(
  tenant: string,
  actionId: string,
  id = 'dana',
): Promise<{ dana: Sender; shownDigest: string }> {
  const dana = await gateway.person({ tenant, id });
  const { body } = await until(
    () => dana.get(`/v1/actions/${actionId}`),
    (answer) => answer.body['pending'] !== undefined,
  );
  return { dana, shownDigest: (body['pending'] as PendingView).shownDigest };
}

describe.concurrent('a worker that is killed', () => {
  test('between the draw and the sending: another one sends it once', async () => {
    const tenant = tenantOf('killed');
    const { doomed, begins, survivor } = await dyingAt('previewCanary.begin', tenant);
    const drawn = await begins();
    expect(await doomed.died).toBe('SIGKILL');
    expect(await sentTo(tenant)).toEqual([]);
    await survivor({}, async () => {
      const canaries = await sentBy(drawn);
      const [canary] = await shownTo(tenant);
      expect(canaries.map(({ workflowId }) => workflowId)).toEqual([`${tenant}/${canary?.actionId}`]);
    });
    expect(await sentTo(tenant)).toHaveLength(1);
  });

  test('when people see it already: it stays the one that they see, whatever was frozen and turned off since', async () => {
    const tenant = tenantOf('seen');
    const { doomed, begins, survivor } = await dyingAt('openCanary.end', tenant);
    const drawn = await begins();
    expect(await doomed.died).toBe('SIGKILL');
    const [canary] = await sentTo(tenant);
    const actionId = canary?.actionId ?? '';
    await stack.ledger.controls.freeze({ tenant, scope: { kind: 'all' }, reason: 'incident', by: 'nina' });
    await survivor({ perWeek: 0 }, async () => {
      expect((await sentBy(drawn)).map(({ workflowId }) => workflowId)).toEqual([`${tenant}/${actionId}`]);
      const { dana, shownDigest } = await pendingFor(tenant, actionId);
      expect(shownDigest).toBe(canary?.shownDigest);
      const answer = await dana.post(`/v1/actions/${actionId}/decision`, {
        shownDigest,
        verdict: 'deny',
        reason: 'no',
      });
      expect(answer.body).toMatchObject({ state: 'denied', canary: expect.stringContaining('Thank you') as string });
    });
    expect(await sentTo(tenant)).toHaveLength(1);
    expect(await figuresOf(tenant)).toMatchObject({ shown: 1, refused: 1 });
  });
});

test('what a worker did, and Temporal never heard of: a draw is drawn anew, and sent once; a decision counts once, and the person is told', async () => {
  const tenant = tenantOf('lost');
  const marker = (point: FaultPoint): string => path.join(folder, `${tenant}-${point}`);
  const points = ['drawCanaries.end', 'decideCanary.end'] as const;
  /** Done, and then as if its answer had been lost. */
  const losing = points.map((point) => faultsFromEnv({ COUNTERSIGN_FAULT: `${point}:fail:${marker(point)}` }));
  const faults: Faults = {
    at: async (point) => {
      for (const fault of losing) await fault.at(point);
    },
  };
  const body = async (): Promise<void> => {
    expect(await round()).toHaveLength(1);
    const [canary] = await shownTo(tenant);
    const { dana, shownDigest } = await pendingFor(tenant, canary?.actionId ?? '');
    const yes = { shownDigest, verdict: 'approve', reason: 'yes' };
    const answer = await dana.post(`/v1/actions/${canary?.actionId}/decision`, yes);
    expect(answer.body).toMatchObject({ state: 'approved', canary: expect.any(String) as string });
  };
  await working([tenant], {}, body, { faults });
  for (const point of points) expect(existsSync(marker(point))).toBe(true);
  expect(await sentTo(tenant)).toHaveLength(1);
  expect(await figuresOf(tenant)).toMatchObject({ shown: 1, approved: 1 });
});

describe('one that nobody decides', () => {
  test('expires by time, is counted as ignored, and leaves the inbox; a ledger that refuses is waited for', async () => {
    const tenant = tenantOf('expired');
    await working([tenant], { templates: SHORT_LIVED }, async () => {
      const [canary] = await round();
      const [sent] = await shownTo(tenant);
      expect(await inboxOf(tenant)).toEqual([sent?.actionId]);
      expect(await figuresOf(tenant)).toMatchObject({ shown: 0 });
      await refusing('update', tenant, async () => {
        const person = await gateway.person({ tenant });
        await until(
          () => inboxOf(tenant, person),
          (ids) => ids.length === 0,
        );
        expect(await sentTo(tenant)).not.toMatchObject([{ ending: 'expired' }]);
      });
      const outcome = await canary?.result();
      expect(outcome).toMatchObject({ status: 'cancelled', approvals: [], canary: { ending: 'expired' } });
      expect(outcome?.reason).toContain('Nobody decided on it in time');
      const [over] = await sentTo(tenant);
      expect(Date.parse(over?.endedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(over?.expiresAt ?? ''));
      expect(await figuresOf(tenant)).toEqual({ shown: 1, refused: 0, approved: 0, ignored: 1 });

      const dana = await gateway.person({ tenant });
      const verdict = { shownDigest: sent?.shownDigest, verdict: 'deny', reason: 'too late' };
      const late = await dana.post(`/v1/actions/${sent?.actionId}/decision`, verdict);
      expect(late.body).toMatchObject({ code: 'NOT_PENDING' });
      expect(await figuresOf(tenant)).toMatchObject({ shown: 1, refused: 0, ignored: 1 });
    });
  });

  test('leaves the inbox in time without any worker, is counted, and is ended by the next', async () => {
    const tenant = tenantOf('alone');
    const canary = await working([tenant], { templates: SHORT_LIVED }, async () => {
      const [one] = await round();
      await shownTo(tenant);
      return one;
    });
    const person = await gateway.person({ tenant });
    await until(
      () => inboxOf(tenant, person),
      (ids) => ids.length === 0,
    );
    expect(await sentTo(tenant)).not.toMatchObject([{ ending: 'expired' }]);
    expect(await figuresOf(tenant)).toMatchObject({ shown: 1, ignored: 1 });
    const ended = async (): Promise<void> =>
      expect(await canary?.result()).toMatchObject({ canary: { ending: 'expired' } });
    await working([tenant], { perWeek: 0 }, ended, UNSCHEDULED);
    expect(await sentTo(tenant)).toMatchObject([{ ending: 'expired' }]);
  });
});

describe('where workers of one task queue have different configs', () => {
  test('the one that started last is in force: the others draw nothing, say so, and doctor names them', async () => {
    const [old, recent] = [tenantOf('old'), tenantOf('recent')];
    const lines: Record<string, unknown>[] = [];
    const logger = pino({ level: 'warn' }, { write: (line) => void lines.push(JSON.parse(line) as (typeof lines)[0]) });
    const { taskQueue } = stack.temporal;
    const standing = (tenant: string) => canaryStanding(stack.ledger, taskQueue, oversightOf([tenant]));
    await working([old], {}, async () => {
      expect(await standing(old)).toMatchObject({ ok: true });
      const config = configOf(oversightOf([recent], { perWeek: 49 }));
      const other = await stack.startWorker({ config, reconcileEveryMs: 3_600_000, logger });
      try {
        const changed = lines.find(({ alarm }) => alarm === 'canary_schedule_changed');
        expect(changed).toMatchObject({ taskQueue, differs: ['perWeek', 'tenants'], before: { by: workerName() } });
        expect(await standing(old)).toMatchObject({
          ok: false,
          detail: expect.stringContaining('they differ in perWeek, tenants') as string,
        });
        const canaries = await round();
        expect(canaries.map(({ workflowId }) => workflowId.split('/')[0])).toEqual([recent]);
      } finally {
        await other.stop();
      }
      // It alone is left, and another one is in force.
      const refused = await (await triggered()).result().catch((error: unknown) => error);
      expect(refused).toMatchObject({ cause: { cause: { type: 'CANARY_INVALID' } } });
      const recentStanding = await canaryStanding(stack.ledger, taskQueue, config.oversight);
      expect(recentStanding).toMatchObject({
        ok: false,
        detail: expect.stringContaining(`${workerName()} has another one, and drew nothing at`) as string,
      });
    });
    expect(await sentTo(old)).toEqual([]);
    // Started anew, its schedule is in force.
    await working([old, recent], {}, async () => {
      const sent = (await round()).map(({ workflowId }) => workflowId.split('/')[0]);
      expect(new Set(sent)).toEqual(new Set([old, recent]));
      expect(sent).toHaveLength(2);
      // In the order of tenants, days and members alone, they have the same.
      expect(await canaryStanding(stack.ledger, taskQueue, oversightOf([recent, old]))).toMatchObject({ ok: true });
      const reworded = { purge: { ...template('sessions'), reason: 'another' } };
      expect(
        await canaryStanding(stack.ledger, taskQueue, oversightOf([recent, old], { templates: reworded })),
      ).toMatchObject({ ok: false, detail: expect.stringContaining('they differ in templates') as string });
    });
  });
});

test('nobody comes to decide more than one person may in a day, those that wait counted in; what another has decided does not count', async () => {
  const [tenant, shared] = [tenantOf('daily'), tenantOf('two-people')];
  const refused = async (): Promise<void> => expect(await refusalOf(await due(tenant))).toBe('RATE_LIMITED');
  const decide = async (of: string, many: number, id?: string): Promise<void> => {
    const [canary] = await shownTo(of, many);
    const { dana: person, shownDigest } = await pendingFor(of, canary?.actionId ?? '', id);
    const no = { shownDigest, verdict: 'deny', reason: 'no' };
    expect((await person.post(`/v1/actions/${canary?.actionId}/decision`, no)).status).toBe(200);
  };
  await working([tenant, shared], { mostPerPersonPerDay: 2 }, async () => {
    await due(tenant);
    await decide(tenant, 1);
    await due(tenant);
    await shownTo(tenant, 2);
    // One was decided by Dana, and she may decide the one that waits.
    await refused();
    await decide(tenant, 2);
    await refused();
    expect(await sentTo(tenant)).toHaveLength(2);
    // A day later.
    const ask = (text: string): Promise<unknown> => stack.database.ask((kysely) => sql.raw(text).execute(kysely));
    await ask(`begin; alter table countersign.canaries disable trigger final;
      update countersign.canaries set ended_at = ended_at - interval '25 hours' where tenant = '${tenant}';
      alter table countersign.canaries enable trigger final; commit`);
    await due(tenant);
    await shownTo(tenant, 3);

    for (const [before, id] of ['dana', 'erin'].entries()) {
      await due(shared);
      await decide(shared, before + 1, id);
    }
    await due(shared);
    await shownTo(shared, 3);
  });
});

/** The last: what an operator paused is gone with the schedule. */
test('turned off, the schedule is gone, and with it all that would come; turned on again, it is back', async () => {
  const there = (): Promise<boolean> =>
    schedule.describe().then(
      () => true,
      () => false,
    );
  expect(await there()).toBe(true);
  await working(['nobody'], { perWeek: 0 }, async () => expect(await there()).toBe(false));
  await working(['nobody'], { perWeek: 0 }, async () => expect(await there()).toBe(false));
  await working(['nobody'], { perWeek: 1 }, async () => expect(await there()).toBe(true));
});
