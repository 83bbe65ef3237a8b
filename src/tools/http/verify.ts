/** Verifies an effect by the probes: the postconditions hold, and nothing else in the state changed. Pure. */
import type { Json } from '../../action/json.js';
import type { Check } from '../../action/outcome.js';
import { fullPatch } from '../../verify/delta.js';
import { check, same, shown } from '../expected-rows.js';
import type { ObservedEffect } from '../tool.js';
import { fillPointer } from './fill.js';
import { scopeOf, type HttpInput } from './input.js';
import type { Operation } from './operation.js';
import { isWithin, pointerOf } from './pointer.js';

export function verifyCall(operation: Operation, effect: ObservedEffect<HttpInput>): readonly Check[] {
  const checks = [answered(operation, effect)];
  if (operation.actionType === 'READ') return [...checks, frame(effect, [])];
  return [...checks, ...derived(operation, effect), frame(effect, allowedChanges(operation, effect.input))];
}

/**
 * Checks for a 2xx, or for a repeated DELETE that found its object gone. It is only the service's claim, so it is required but never
 * sufficient.
 */
function answered({ method }: Operation, { execution }: ObservedEffect<HttpInput>): Check {
  const result = execution?.result;
  const { status, gone } = isMembers(result) ? result : {};
  const ok = (Number(status) >= 200 && Number(status) <= 299) || (method === 'DELETE' && gone === true);
  return check('answered', ok ? [] : ['the service has not answered that it is done']);
}

function derived(
  { ensures, method, ownProbe }: Operation,
  { input, pre, post, execution }: ObservedEffect<HttpInput>,
): Check[] {
  if (ensures.length > 0) {
    const values = {
      input: { ...scopeOf(input), body: input.body ?? null } as Json,
      pre,
      post,
      result: execution?.result ?? null,
    };
    return ensures.map((ensure) => ensure(values));
  }
  const name = ownProbe?.name ?? '';
  const now = Object.hasOwn(post, name) ? (post[name] ?? null) : null;
  const problems: string[] = [];
  if (method === 'DELETE') {
    if (now !== null) problems.push(`/${name} is there, expected to be gone`);
  } else lacking(input.body ?? null, now, `/${name}`, problems);
  return [check('derived', problems)];
}

/** Adds what of `expected` is missing in `actual`. Other members may be anything. In a merge patch (RFC 7396), null means absent. */
function lacking(expected: Json, actual: Json | undefined, path: string, problems: string[]): void {
  if (isMembers(expected) && isMembers(actual)) {
    for (const [key, value] of Object.entries(expected)) {
      lacking(value, Object.hasOwn(actual, key) ? actual[key] : undefined, `${path}${pointerOf([key])}`, problems);
    }
    return;
  }
  if (expected === null && (actual === undefined || actual === null)) return;
  if (!same(expected, actual)) problems.push(`${path} is ${shown(actual)}, expected ${shown(expected)}`);
}

function isMembers(value: Json | undefined): value is Readonly<Record<string, Json>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The pointers to what may change. A reference that leads nowhere allows nothing. */
function allowedChanges({ changes, ownProbe, method }: Operation, input: HttpInput): readonly string[] {
  if (changes !== undefined) return changes.flatMap((pointer) => fillPointer(pointer, scopeOf(input)) ?? []);
  const own = pointerOf([ownProbe?.name ?? '']);
  if (method === 'PATCH' && isMembers(input.body))
    return Object.keys(input.body).map((key) => `${own}${pointerOf([key])}`);
  return [own];
}

/** Checks that nothing in the state has changed but what is at or below the pointers `allowed`. */
export function frame({ pre, post }: Pick<ObservedEffect<unknown>, 'pre' | 'post'>, allowed: readonly string[]): Check {
  const foreign = fullPatch(pre, post).filter(({ path }) => !allowed.some((root) => isWithin(path, root)));
  return check(
    'frame.state',
    foreign.map(({ op, path, value }) => `${path}: ${DONE[op]}${value === undefined ? '' : ` ${shown(value)}`}`),
  );
}

const DONE = {
  add: 'appeared:',
  remove: 'vanished',
  replace: 'became',
  move: 'moved',
  copy: 'was copied',
  test: 'differs',
} as const;
