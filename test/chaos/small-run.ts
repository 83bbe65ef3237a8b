/** A run in small, on the shared servers and without disturbances: what the planted defects are judged on. */
import { openConnection } from '../../src/client/connection.js';
import os from 'node:os';
import path from 'node:path';
import { mkdtemp, rm } from 'node:fs/promises';
import { Client } from '@temporalio/client';
import pino from 'pino';
import { inject } from 'vitest';
import { Agents } from '../../chaos/agents.js';
import { Chance } from '../../chaos/chance.js';
import { collect } from '../../chaos/collect.js';
import type { Evidence } from '../../chaos/evidence.js';
import { Forger } from '../../chaos/forger.js';
import { judge, type Verdict } from '../../chaos/judge.js';
import type { OrderMischief } from '../../chaos/payments/mischief.js';
import { Approvers } from '../../chaos/people/approvers.js';
import { makePlan, type Kind } from '../../chaos/plan.js';
import { serve } from '../../chaos/payments/service.js';
import { startWorkerAt, type WorkerPlaces } from '../../chaos/world/worker.js';
import { World } from '../../chaos/world/world.js';
import { keepQuiet } from '../support/quiet.js';
import { createNamespace } from '../support/temporal.js';

keepQuiet();

type Mend = () => void | Promise<void>;

export interface SmallRun {
  readonly actions: number;
  /** How many agents share them. Default 20. */
  readonly agents?: number;
  readonly weights: Readonly<Partial<Record<Kind, number>>>;
  /** Breaks the runtime before its worker starts, and returns what mends it. */
  readonly plant?: (places: WorkerPlaces) => Mend | Promise<Mend>;
  /** This happens to every order. */
  readonly always?: OrderMischief;
  /** How many forgeries are tried afterwards. */
  readonly forgeries?: number;
  /** After it agents ask no more, milliseconds. Default 40,000. */
  readonly patienceMs?: number;
}

export interface SmallResult {
  readonly verdict: Verdict;
  readonly evidence: Evidence;
  /** What became of each forged step, in words. */
  readonly forged: readonly string[];
}

export async function smallRun(options: SmallRun): Promise<SmallResult> {
  const { actions, agents: many, weights, plant, always, forgeries = 0, patienceMs: maxWaitMs = 40_000 } = options;
  const plan = makePlan('small', actions, {
    weights,
    manners: { once: 1 },
    policies: 'folder',
    ...(many === undefined ? {} : { agents: many }),
  });
  const folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-small-run-'));
  const temporal = { ...(await createNamespace()), taskQueue: 'countersign' };
  const mischief = {
    orders: always === undefined ? 0 : 1,
    reads: 0,
    ...(always === undefined ? {} : { only: always }),
  };
  const closing: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  try {
    const world = await World.open({
      plan,
      folder,
      postgresUrl: inject('postgresUrl'),
      temporal,
      mischief,
      startPayments: serve,
    });
    closing.unshift(() => world.close());
    const mend = await plant?.(world.places);
    closing.unshift(async () => mend?.());
    const worker = await startWorkerAt(world.places, { logger: pino({ level: 'silent' }) });
    closing.unshift(() => worker.stop());
    const { connection, close } = await openConnection(temporal.address);
    closing.unshift(close);
    const approvers = await Approvers.gather(world, plan.seed);
    const onPending = (actionId: string): void => approvers.attend(actionId);
    const agents = new Agents({ world, plan, onPending, deadline: Date.now() + maxWaitMs });
    await agents.work();
    await approvers.leave();
    const forger = await Forger.arrive(world);
    const forged: string[] = [];
    for (let n = 0; n < forgeries; n++) {
      const { answer } = await forger.try(new Chance('forger').of(String(n)), agents.finished);
      forged.push(answer);
    }
    await forger.leave();

    const { proposed, told } = agents;
    const client = new Client({ connection, namespace: temporal.namespace });
    const evidence = await collect(world, client, { proposed, told, terminated: [], seen: {} });
    return { verdict: judge(evidence), evidence, forged };
  } finally {
    for (const close of closing) await close();
  }
}
