/** Named points at which a test may stop a worker process, to prove what a crash there leaves behind. */
import { existsSync, writeFileSync } from 'node:fs';
import type { FaultPoint } from '../../activities/deps.js';
import { CountersignError } from '../action/errors.js';
import { isProduction } from '../environment.js';

export interface Faults {
  at(point: FaultPoint): Promise<void>;
}

export const NO_FAULTS: Faults = { at: async () => {} };

/**
 * Reads COUNTERSIGN_FAULT, `<point>:kill:<marker file>`: the process kills itself with SIGKILL the first time it reaches the
 * point; the marker file makes it once only, over restarts.
 *
 * @throws CountersignError CONFIG_INVALID in production, or when malformed
 */
export function faultsFromEnv(env: NodeJS.ProcessEnv): Faults {
  const text = env['COUNTERSIGN_FAULT'];
  if (text === undefined || text === '') return NO_FAULTS;
  if (isProduction(env)) {
    throw new CountersignError('CONFIG_INVALID', 'Fault injection cannot be switched on in production.', {
      field: 'COUNTERSIGN_FAULT',
      fix: 'Unset COUNTERSIGN_FAULT.',
    });
  }
  const [point, kind, marker] = text.split(/:(?=kill|\/)/);
  if (point === undefined || kind !== 'kill' || marker === undefined) {
    throw new CountersignError('CONFIG_INVALID', `COUNTERSIGN_FAULT is malformed: ${text}`, {
      field: 'COUNTERSIGN_FAULT',
      expected: '<point>:kill:<absolute path of a marker file>',
    });
  }
  return {
    at: async (reached) => {
      if (reached !== point || existsSync(marker)) return;
      writeFileSync(marker, reached);
      process.kill(process.pid, 'SIGKILL');
      // The signal is asynchronous: nothing may run on past the point.
      await new Promise(() => {});
    },
  };
}
