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
    // Rounds come when a test says so, and never in between. Workers that start later leave it so.
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

async function inboxOf(tenant: string): Promise<readonly string[]> {
  const person = await gateway.person({ tenant });
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
  test('draws at moments of its own, and not on the quarter of the hour, and keeps an operator’s pause', async () => {
    await working(['nobody'], {}, async () => {
      const { spec, info, state } = await schedule.describe();
      expect(spec.intervals).toMatchObject([{ every: CANARY_ROUND_MS }]);
      expect(spec.jitter).toBe(CANARY_ROUND_MS);
      const offsets = info.nextActionTimes.map((at) => at.getTime() % CANARY_ROUND_MS);
      expect(new Set(offsets).size).toBe(offsets.length);
      expect(offsets.length).toBeGreaterThan(2);
      expect(state.paused).toBe(true);
    });
  });

  test('sends each tenant one in a round of two workers, and none outside of its hours', async () => {
    const tenants = ['two', 'three', 'four'].map(tenantOf);
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
    await working(tenants, {}, sendsEachOne, { many: 2 });
    await working(tenants, { hours: OVER }, async () => {
      expect(await round()).toEqual([]);
    });
    for (const tenant of tenants) expect(await sentTo(tenant)).toHaveLength(1);
  });

  test.each([
    ['the week may have', { perWeek: 2, mostPerWeek: 2 }, 2],
    ['may wait', {}, 3],
  ] satisfies [string, CanariesConfig, number][])(
    'sends no more than %s, whichever of two workers races for the last',
    async (_, canaries, most) => {
      const tenant = tenantOf('racing');
      const race = async (): Promise<void> => {
        const started = await Promise.all(Array.from({ length: 6 }, () => due(tenant)));
        const shown = (canary: Handle): Promise<string> =>
          until(
            () => sentTo(tenant),
            (sent) => sent.some(({ actionId }) => canary.workflowId === `${tenant}/${actionId}`),
          ).then(() => 'shown');
        const ends = await Promise.all(started.map((canary) => Promise.race([refusalOf(canary), shown(canary)])));
        const refused = Array.from({ length: 6 - most }, () => 'RATE_LIMITED');
        expect(ends.sort()).toEqual([...refused, ...Array.from({ length: most }, () => 'shown')]);
      };
      await working([tenant], canaries, race, { many: 2 });
      expect(await inboxOf(tenant)).toHaveLength(most);
    },
  );
});

describe('one that is due is not sent', () => {
  test('while everything of the tenant is frozen; and is again when that is over', async () => {
    const tenant = tenantOf('frozen');
    const freeze = await stack.ledger.controls.freeze({
      tenant,
      scope: { kind: 'all' },
      reason: 'incident',
      by: 'nina',
    });
    await working([tenant], {}, async () => {
      expect(await refusalOf((await round())[0])).toBe('FROZEN');
      expect([await sentTo(tenant), await inboxOf(tenant)]).toEqual([[], []]);
      await stack.ledger.controls.unfreeze(freeze.id, { by: 'test' });
      await round();
      expect(await shownTo(tenant)).toHaveLength(1);
    });
  });

  test('while the ledger refuses, and nothing of it is left there', async () => {
    const tenant = tenantOf('away');
    await working([tenant], {}, async () => {
      await refusing('insert', tenant, async () => {
        const [canary] = await round();
        expect(await refusalOf(canary)).toBe('LEDGER_UNAVAILABLE');
        const [, actionId = ''] = canary?.workflowId.split('/') ?? [];
        expect(await stack.ledger.approvalRequests.find(tenant, actionId)).toBeUndefined();
      });
      await round();
      expect(await shownTo(tenant)).toHaveLength(1);
    });
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

  test('in a tenant that is configured no more', async () => {
    const tenant = tenantOf('left-out');
    const canary = await due(tenant);
    await working(['another'], {}, async () => {
      expect(await refusalOf(canary)).toBe('CANARY_INVALID');
    });
    expect(await sentTo(tenant)).toEqual([]);
  });

  test('where fewer may come in a week than have come by now', async () => {
    const tenant = tenantOf('fewer');
    await working([tenant], {}, async () => {
      await round();
      await shownTo(tenant);
    });
    await working([tenant], { perWeek: 1, mostPerWeek: 1 }, async () => {
      expect(await refusalOf(await due(tenant))).toBe('RATE_LIMITED');
    });
    expect(await sentTo(tenant)).toHaveLength(1);
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

describe('what a worker did, and Temporal never heard of,', () => {
  /** Done, and then as if its answer had been lost. */
  const losing = (point: FaultPoint, tenant: string): Faults =>
    faultsFromEnv({ COUNTERSIGN_FAULT: `${point}:fail:${path.join(folder, tenant)}` });

  test('is a draw: it is drawn anew, and sent once', async () => {
    const tenant = tenantOf('lost');
    const body = async (): Promise<void> => {
      expect(await round()).toHaveLength(1);
      await shownTo(tenant);
    };
    await working([tenant], {}, body, { faults: losing('drawCanaries.end', tenant) });
    expect(existsSync(path.join(folder, tenant))).toBe(true);
    expect(await sentTo(tenant)).toHaveLength(1);
  });

  test('is a decision: it counts once, and the person is told', async () => {
    const tenant = tenantOf('decided');
    const body = async (): Promise<void> => {
      await round();
      const [canary] = await shownTo(tenant);
      const { dana, shownDigest } = await pendingFor(tenant, canary?.actionId ?? '');
      const yes = { shownDigest, verdict: 'approve', reason: 'yes' };
      const answer = await dana.post(`/v1/actions/${canary?.actionId}/decision`, yes);
      expect(answer.body).toMatchObject({ state: 'approved', canary: expect.any(String) as string });
    };
    await working([tenant], {}, body, { faults: losing('decideCanary.end', tenant) });
    expect(existsSync(path.join(folder, tenant))).toBe(true);
    expect(await figuresOf(tenant)).toMatchObject({ shown: 1, approved: 1 });
  });
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
        await until(
          () => inboxOf(tenant),
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
    await until(
      () => inboxOf(tenant),
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
    await working([old], {}, async () => {
      expect((await round()).map(({ workflowId }) => workflowId.split('/')[0])).toEqual([old]);
      expect(await standing(old)).toMatchObject({ ok: true });
    });
  });

  test('in the order of tenants, days and members alone, they have the same', async () => {
    const [one, other] = [tenantOf('one'), tenantOf('other')];
    const { taskQueue } = stack.temporal;
    await working([one, other], {}, async () => {
      expect(await canaryStanding(stack.ledger, taskQueue, oversightOf([other, one]))).toMatchObject({ ok: true });
      const reworded = { purge: { ...template('sessions'), reason: 'another' } };
      expect(
        await canaryStanding(stack.ledger, taskQueue, oversightOf([other, one], { templates: reworded })),
      ).toMatchObject({
        ok: false,
        detail: expect.stringContaining('they differ in templates') as string,
      });
    });
  });
});

test('nobody comes to decide more than one person may in a day, those that wait counted in', async () => {
  const tenant = tenantOf('daily');
  const refused = async (): Promise<void> => expect(await refusalOf(await due(tenant))).toBe('RATE_LIMITED');
  const decide = async (many: number): Promise<void> => {
    const sent = await shownTo(tenant, many);
    const { dana, shownDigest } = await pendingFor(tenant, sent[0]?.actionId ?? '');
    const no = { shownDigest, verdict: 'deny', reason: 'no' };
    expect((await dana.post(`/v1/actions/${sent[0]?.actionId}/decision`, no)).status).toBe(200);
  };
  await working([tenant], { mostPerPersonPerDay: 2 }, async () => {
    await due(tenant);
    await decide(1);
    await due(tenant);
    await shownTo(tenant, 2);
    // One was decided by Dana, and she may decide the one that waits.
    await refused();
    await decide(2);
    await refused();
    expect(await sentTo(tenant)).toHaveLength(2);
    // A day later.
    const ask = (text: string): Promise<unknown> => stack.database.ask((kysely) => sql.raw(text).execute(kysely));
    await ask(`begin; alter table countersign.canaries disable trigger final;
      update countersign.canaries set ended_at = ended_at - interval '25 hours' where tenant = '${tenant}';
      alter table countersign.canaries enable trigger final; commit`);
    await due(tenant);
    await shownTo(tenant, 3);
  });
});

test('what one person has decided does not count as another’s', async () => {
  const tenant = tenantOf('two-people');
  await working([tenant], { mostPerPersonPerDay: 2 }, async () => {
    for (const [before, id] of ['dana', 'erin'].entries()) {
      await due(tenant);
      const actionId = (await shownTo(tenant, before + 1))[0]?.actionId ?? '';
      const { dana: person, shownDigest } = await pendingFor(tenant, actionId, id);
      const no = { shownDigest, verdict: 'deny', reason: 'no' };
      expect((await person.post(`/v1/actions/${actionId}/decision`, no)).status).toBe(200);
    }
    await due(tenant);
    await shownTo(tenant, 3);
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
