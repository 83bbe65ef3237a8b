/** Looks up at the server whether the effect of an idempotency key happened. */
import { setTimeout as delay } from 'node:timers/promises';
import { asCountersignError } from '../../action/errors.js';
import type { Json } from '../../action/json.js';
import { timeoutSignal } from '../../timeout-signal.js';
import type { LookUp } from '../tool.js';
import { conditionInput, scopeOf, shownKey, type McpInput } from './input.js';
import type { EffectLookUp, DeclaredTool } from './declared-tool.js';
import { readFrom } from './declared-read.js';
import { isNothing, stateOf } from './state.js';
import type { Upstream } from './upstream.js';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/** Whose effect is looked up. The input may be missing. */
export interface Sought {
  readonly operation: DeclaredTool;
  readonly lookUp: EffectLookUp | undefined;
  readonly key: string;
  readonly input: McpInput | undefined;
}

/**
 * Looks up the effect, after every attempt to make it has ended. `no` means that it was absent for as long as the config says is final.
 * Failures of the server give `unknown`, never a rejection.
 */
export async function lookUpEffect(upstream: Upstream, sought: Sought, signal: AbortSignal): Promise<LookUp> {
  const { lookUp } = sought;
  if (lookUp === undefined) return { happened: 'unknown', reason: 'the tool declares no look-up', final: true };
  const { finalAfterMs } = lookUp;
  const bounded = timeoutSignal(signal, upstream.limits.callMs + (finalAfterMs ?? 0));
  const start = performance.now();
  try {
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      const askedAt = performance.now();
      const found = await findOnce(upstream, sought, lookUp, bounded);
      if (found !== undefined) return found;
      if (finalAfterMs === undefined) return { happened: 'unknown', reason: 'the server shows no effect of it, yet' };
      const left = finalAfterMs - (askedAt - start);
      if (left <= 0) return { happened: 'no' };
      await delay(Math.min(pause, left), undefined, { signal: bounded });
    }
  } catch (error) {
    return { happened: 'unknown', reason: asCountersignError(error).message };
  }
}

/** Undefined when the effect is not there. */
async function findOnce(
  upstream: Upstream,
  { operation, key, input }: Sought,
  { reading, happened }: EffectLookUp,
  signal: AbortSignal,
): Promise<LookUp | undefined> {
  const needsInput = reading === undefined || happened !== undefined;
  if (input === undefined && needsInput) return { happened: 'unknown', reason: 'the look-up needs the input' };
  const known = { key: shownKey(operation, key) };
  const scope = input === undefined ? known : scopeOf(input, known);
  const values = { input: input === undefined ? null : conditionInput(input), pre: null, post: null, result: null };
  if (reading === undefined) {
    const post = input === undefined ? {} : await stateOf(upstream, operation, input, undefined, signal);
    return happened?.({ ...values, post }).ok === true ? yes(post) : undefined;
  }
  const result = await readFrom(upstream, reading, scope, signal);
  const isThere = happened === undefined ? !isNothing(result) : happened({ ...values, result }).ok;
  return isThere ? yes(result) : undefined;
}

function yes(found: Json): LookUp {
  return { happened: 'yes', execution: { result: { content: [], structuredContent: found } } };
}
