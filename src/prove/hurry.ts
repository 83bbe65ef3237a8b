/** A worker of the scratch world that gives people and grants little time: so that both run out while one looks. */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Countersign } from '../client/countersign.js';
import type { Faults } from '../worker/faults.js';
import { withShortApprovals, writeBundle } from './scratch/short-approvals.js';
import type { World } from './world.js';

/** How long people have, and how long a grant is good. Seconds. */
export const APPROVAL_SECONDS = 2;
export const GRANT_SECONDS = 1;

/** How long each effect is held back: a little longer than its grant is good by any clock of this machine. Milliseconds. */
const HELD_MS = GRANT_SECONDS * 1000 + 200;

/** `execute` is held back until its grant has run out: what an overloaded worker does. */
const HOLDING: Faults = {
  async at(point) {
    if (point === 'execute.begin') await delay(HELD_MS);
  },
};

const clients = new WeakMap<World, Promise<Countersign>>();

/** A client whose actions that worker takes: one for all who ask. The time of people is the operator's where that is shorter. */
export function withoutTime(world: World): Promise<Countersign> {
  const client = clients.get(world) ?? open(world);
  clients.set(world, client);
  return client;
}

async function open(world: World): Promise<Countersign> {
  const { config, temporal, policy, folder } = world.parts;
  const policies = path.join(folder, 'without-time');
  await writeBundle(policies, withShortApprovals(policy.bundle, APPROVAL_SECONDS));
  const settings = { ...temporal, taskQueue: `${temporal.taskQueue}-without-time` };
  await world.startWorker(
    { config: { ...config, policies: { from: 'folder', path: policies } }, temporal: settings, faults: HOLDING },
    { grantTtlSeconds: GRANT_SECONDS },
  );
  return world.connect(settings);
}
