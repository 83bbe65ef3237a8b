/** Named points at which a test may stop a worker process, or fail what it does, to prove what that leaves behind. */
import { subscribe } from 'node:diagnostics_channel';
import { closeSync, existsSync, openSync } from 'node:fs';
import { FAULT_POINTS, type FaultPoint } from '../../activities/index.js';
import { CountersignError } from '../action/errors.js';
import { isProduction, variable } from '../environment.js';
import type { Ledger } from '../ledger/index.js';

export interface Faults {
  /** @throws CountersignError INTERNAL where the step is to fail */
  at(point: FaultPoint): Promise<void>;
}

export const NO_FAULTS: Faults = { at: async () => {} };

interface Fault {
  readonly point: FaultPoint;
  /** The nth time that the point is reached. */
  readonly nth: number;
  readonly kind: 'kill' | 'fail';
  /** Path of a file that makes it once only, over restarts. */
  readonly marker: string;
}

/**
 * Reads COUNTERSIGN_FAULT, `<point>[#<n>]:<kind>:<marker file>`. Once, the (nth) time that the point is reached, the process ends itself
 * with SIGKILL (`kill`), or the step there fails as if of a fault of its own (`fail`; not on the wire).
 *
 * @throws CountersignError CONFIG_INVALID in production, or when malformed
 */
export function faultsFromEnv(env: NodeJS.ProcessEnv): Faults {
  const text = variable('COUNTERSIGN_FAULT', env);
  if (text === undefined) return NO_FAULTS;
  if (isProduction(env)) {
    throw new CountersignError('CONFIG_INVALID', 'Fault injection cannot be switched on in production.', {
      field: 'COUNTERSIGN_FAULT',
      fix: 'Unset COUNTERSIGN_FAULT.',
    });
  }
  const fault = parsed(text);
  const strikes = counted(fault);
  watchWire(strikes);
  return {
    at: async (reached) => {
      if (!strikes(reached)) return;
      if (fault.kind === 'kill') die();
      throw new CountersignError('INTERNAL', `A fault was injected at ${reached}.`);
    },
  };
}

function parsed(text: string): Fault {
  const [, name, nth = '1', kind, marker] = /^([\w.-]+)(?:#([1-9]\d{0,3}))?:(kill|fail):(\/.+)$/.exec(text) ?? [];
  const point = FAULT_POINTS.find((known) => known === name);
  if (point !== undefined && marker !== undefined && (kind === 'kill' || (kind === 'fail' && !onWire(point)))) {
    return { point, nth: Number(nth), kind, marker };
  }
  throw new CountersignError('CONFIG_INVALID', `COUNTERSIGN_FAULT is malformed: ${text}`, {
    field: 'COUNTERSIGN_FAULT',
    expected: `<point>[#<n>]:<kill|fail>:<absolute path of a marker file>, with a point of: ${FAULT_POINTS.join(', ')}`,
  });
}

function onWire(point: FaultPoint): boolean {
  return point.startsWith('http.');
}

/** Whether the fault strikes now. Several processes may share the marker: one of them makes it. */
function counted({ point, nth, marker }: Fault): (reached: FaultPoint) => boolean {
  let times = 0;
  return (reached) => {
    if (reached !== point || ++times < nth || existsSync(marker)) return false;
    try {
      closeSync(openSync(marker, 'wx'));
      return true;
    } catch {
      return false;
    }
  };
}

/** Nothing runs on past it: the signal may take a moment. */
function die(): never {
  process.kill(process.pid, 'SIGKILL');
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (;;) Atomics.wait(never, 0, 0);
}

/** What undici tells of each request (https://undici.nodejs.org, Diagnostics Channel). The tool itself knows nothing of faults. */
function watchWire(strikes: (reached: FaultPoint) => boolean): void {
  const on = (channel: string, point: FaultPoint, strike: () => void): void => {
    subscribe(channel, () => {
      if (strikes(point)) strike();
    });
  };
  on('undici:request:create', 'http.before-send', die);
  // Sent means written to the socket, and that leaves with this turn of the event loop.
  on('undici:request:bodySent', 'http.after-send', () => setImmediate(die));
  on('undici:request:headers', 'http.before-reading', die);
}

/** The ledger, interrupted before and after it commits what an action stands on. Without faults, the ledger itself. */
export function interruptible(ledger: Ledger, faults: Faults): Ledger {
  if (faults === NO_FAULTS) return ledger;
  const { actions, grants, receipts } = ledger;
  const used = interrupted(grants, 'use', faults, ['ledger.before-use-grant', 'ledger.after-use-grant']);
  const rooms: Readonly<Record<string, object>> = {
    actions: interrupted(actions, 'admit', faults, ['ledger.before-admit', 'ledger.after-admit']),
    grants: interrupted(used, 'countSend', faults, ['ledger.before-count-send', 'ledger.after-count-send']),
    receipts: interrupted(receipts, 'settle', faults, ['ledger.before-settle', 'ledger.after-settle']),
  };
  return overlaid(ledger, (name) => (Object.hasOwn(rooms, name) ? rooms[name] : undefined));
}

/** The same, but that one method of it passes a fault point before it begins and one after it has ended. */
function interrupted<Room extends object>(
  room: Room,
  method: keyof Room & string,
  faults: Faults,
  [before, after]: readonly [before: FaultPoint, after: FaultPoint],
): Room {
  const call = bound(room, room[method]) as (...given: readonly unknown[]) => unknown;
  const replacement = async (...given: readonly unknown[]): Promise<unknown> => {
    await faults.at(before);
    const answer = await call(...given);
    await faults.at(after);
    return answer;
  };
  return overlaid(room, (name) => (name === method ? replacement : undefined));
}

/** An object with some members replaced. Methods keep their object: its private fields are not the proxy's. */
function overlaid<T extends object>(original: T, replaced: (name: string) => unknown): T {
  return new Proxy(original, {
    get: (target, name) => replaced(String(name)) ?? bound(target, Reflect.get(target, name, target)),
  });
}

function bound(owner: object, member: unknown): unknown {
  return typeof member === 'function' ? member.bind(owner) : member;
}
