/** Looks up at the service whether the effect of an idempotency key happened. */
import { setTimeout as delay } from 'node:timers/promises';
import { asCountersignError } from '../../action/errors.js';
import type { Json } from '../../action/json.js';
import type { LookUp } from '../tool.js';
import type { HttpResult } from './response-classification.js';
import { keyValue } from './idempotency-key.js';
import { scopeOf, type HttpInput } from './input.js';
import type { CompiledLookUp } from './operation.js';
import { at } from './pointer.js';
import { readTemplate, within, type Service } from './service.js';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/**
 * Looks up the effect, after every attempt to make it has ended. `yes` has what was found as the body of the result. `no` means that it was
 * absent for as long as the config says is final. Failures of the service give `unknown`, never a rejection.
 */
export async function lookUpEffect(
  service: Service,
  lookUp: CompiledLookUp | undefined,
  key: string,
  input: HttpInput | undefined,
  signal: AbortSignal,
): Promise<LookUp> {
  if (lookUp === undefined) return { happened: 'unknown', reason: 'the operation declares no look-up', final: true };
  const start = performance.now();
  const known = { key: keyValue(key, service.key) };
  const { finalAfterMs } = lookUp;
  const bounded = within(service, signal, service.limits.totalMs + (finalAfterMs ?? 0));
  try {
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      const askedAt = performance.now();
      const scope = input === undefined ? known : scopeOf(input, known);
      const response = await readTemplate(service, lookUp.url, scope, bounded);
      if (response === undefined) return { happened: 'unknown', reason: 'the look-up needs more than the action has' };
      const found = at(response.result?.body, lookUp.at);
      if (isThere(found))
        return { happened: 'yes', execution: { result: resultOf(response.result?.status ?? 200, found) } };
      if (finalAfterMs === undefined)
        return { happened: 'unknown', reason: 'the service knows nothing of the key, yet' };
      const left = finalAfterMs - (askedAt - start);
      if (left <= 0) return { happened: 'no' };
      await delay(Math.min(pause, left), undefined, { signal: bounded });
    }
  } catch (error) {
    return { happened: 'unknown', reason: asCountersignError(error).message };
  }
}

function isThere(found: Json | undefined): found is Json {
  return found !== undefined && found !== null && !(Array.isArray(found) && found.length === 0);
}

function resultOf(status: number, body: Json): HttpResult {
  return { status, body };
}
