/** Asks the service whether the effect of an idempotency key happened. */
import { setTimeout as delay } from 'node:timers/promises';
import { asCountersignError } from '../../action/errors.js';
import type { Json } from '../../action/json.js';
import type { LookUp } from '../tool.js';
import type { HttpResult } from './response-classification.js';
import { scopeOf, type HttpInput } from './input.js';
import type { CompiledLookUp } from './operation.js';
import { at } from './pointer.js';
import { readTemplate, within, type Service } from './service.js';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/**
 * `yes` with what was found as the result's body; `no` when the absence lasted as long as the config takes for final. Asked from when
 * every attempt has ended. Never rejects for what the service does: that is `unknown`.
 */
export async function lookUpEffect(
  service: Service,
  lookUp: CompiledLookUp | undefined,
  key: string,
  input: HttpInput | undefined,
  signal: AbortSignal,
): Promise<LookUp> {
  if (lookUp === undefined) return { happened: 'unknown', reason: 'the operation declares no look-up' };
  const start = performance.now();
  const { finalAfterMs } = lookUp;
  const bounded = within(service, signal, service.limits.totalMs + (finalAfterMs ?? 0));
  try {
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      const asked = performance.now();
      const scope = input === undefined ? { key } : scopeOf(input, { key });
      const answer = await readTemplate(service, lookUp.url, scope, bounded);
      if (answer === undefined) return { happened: 'unknown', reason: 'the look-up needs more than the action has' };
      const found = at(answer.result?.body, lookUp.at);
      if (isThere(found))
        return { happened: 'yes', execution: { result: resultOf(answer.result?.status ?? 200, found) } };
      if (finalAfterMs === undefined)
        return { happened: 'unknown', reason: 'the service knows nothing of the key, yet' };
      const left = finalAfterMs - (asked - start);
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
