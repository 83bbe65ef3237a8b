/** Which disturbances come, in which order and after how many finished actions: the seed's list. */
import { Chance } from './chance.js';
import type { PolicySource } from './plan.js';

export const DISTURBANCES = [
  'kill-worker',
  'kill-all-workers',
  'kill-at-fault-point',
  'skew-worker-clock',
  'restart-temporal',
  'restart-postgres-fast',
  'restart-postgres-immediate',
  'cut-postgres-power',
  'kill-payments',
  'freeze',
  'change-policy',
  'break-policy',
  'promote-policy',
  'roll-back-policy',
  'shadow-policy',
  'forge-grant',
  'terminate-workflow',
  'terminate-after-effect',
  'skew-second-attempt',
] as const;
export type Disturbance = (typeof DISTURBANCES)[number];

/** Without these no run is one. */
export const ALWAYS: readonly Disturbance[] = ['kill-worker', 'restart-temporal', 'restart-postgres-fast'];

const WEIGHTS: Readonly<Record<Disturbance, number>> = {
  'kill-worker': 5,
  'kill-all-workers': 1,
  'kill-at-fault-point': 4,
  'skew-worker-clock': 2,
  'restart-temporal': 3,
  'restart-postgres-fast': 2,
  'restart-postgres-immediate': 2,
  'cut-postgres-power': 1,
  'kill-payments': 2,
  freeze: 5,
  'change-policy': 4,
  'break-policy': 2,
  'promote-policy': 5,
  'roll-back-policy': 3,
  'shadow-policy': 2,
  'forge-grant': 4,
  'terminate-workflow': 3,
  'terminate-after-effect': 5,
  'skew-second-attempt': 2,
};

/** What comes only where workers take their policy from there. */
const ONLY_WITH: Readonly<Partial<Record<Disturbance, PolicySource>>> = {
  'change-policy': 'folder',
  'break-policy': 'folder',
  'promote-policy': 'ledger',
  'roll-back-policy': 'ledger',
  'shadow-policy': 'ledger',
};

export interface ScheduleOptions {
  readonly seed: string;
  /** How many, at least; more than the ones that always come. */
  readonly count: number;
  /** How many actions there are in all. */
  readonly actions: number;
  readonly policies: PolicySource;
}

/** The seed's list; each with the share of finished actions at which it is due. */
export function schedule({ seed, count, actions, policies }: ScheduleOptions): readonly {
  readonly kind: Disturbance;
  readonly due: number;
}[] {
  const chance = new Chance(seed).of('disturbances').of('schedule');
  const weights = weightsWith(policies);
  const more = Array.from({ length: Math.max(0, count - ALWAYS.length) }, () => chance.weighted(weights));
  const kinds = chance.shuffled([...ALWAYS, ...more]);
  // The last ones come while there is still something to disturb.
  const dues = kinds.map(() => chance.next() * actions * 0.85).sort((a, b) => a - b);
  return kinds.map((kind, i) => ({ kind, due: dues[i] ?? 0 }));
}

function weightsWith(policies: PolicySource): Partial<Record<Disturbance, number>> {
  return Object.fromEntries(
    DISTURBANCES.flatMap((kind) => ((ONLY_WITH[kind] ?? policies) === policies ? [[kind, WEIGHTS[kind]]] : [])),
  );
}
