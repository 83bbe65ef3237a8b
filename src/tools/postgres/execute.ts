/** Makes the effect, once for each key: repeats transactions that conflict, and finds out whether a lost commit took effect. */
import { CountersignError } from '../../action/errors.js';
import { timeoutSignal } from '../../timeout-signal.js';
import type { Execution, ExecuteContext } from '../tool.js';
import { asFailure, isConflict, isRefusedForWhatIsThere, isMissingTable } from './failure.js';
import { CommitLost, limitOf, type EffectTransaction, type ExecuteOptions, type Time } from './effect-transaction.js';

/** How often a transaction is attempted when it conflicts with others. */
const ATTEMPTS = 4;
const HEARTBEAT_MS = 1_000;

/**
 * Executes a change, once for each key.
 *
 * @throws CountersignError STATE_CHANGED, CONSTRAINT_VIOLATED, TOOL_FAILED, TOOL_UNAVAILABLE: nothing happened; EFFECT_UNKNOWN
 */
export async function executeChange(
  transaction: (time: Time) => EffectTransaction,
  context: ExecuteContext,
  options: ExecuteOptions,
): Promise<Execution> {
  const pulse = setInterval(() => context.heartbeat(), HEARTBEAT_MS);
  const timeoutMs = Math.min(options.timeoutMs, limitOf(context, 'timeoutMs') ?? Infinity);
  const time: Time = { timeoutMs, signal: timeoutSignal(context.signal, timeoutMs) };
  let committing = false;
  let refused = false;
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        return await transaction(time).run();
      } catch (error) {
        committing ||= error instanceof CommitLost;
        const again = attempt < ATTEMPTS && !time.signal.aborted;
        if (isMissingTable(error) && again) await options.effects.ensure();
        // Where another attempt with the key has done it meanwhile, the next one sees its record.
        else if (isRefusedForWhatIsThere(error) && again && !refused) refused = true;
        // This is safe after a lost commit too: if it took effect, the key exists; if it is still in progress, we wait for its locks.
        else if (!again || !(isConflict(error) || options.effects.isKeyTaken(error) || error instanceof CommitLost))
          throw error;
      }
    }
  } catch (error) {
    const failure = failureOf(error, context, options);
    if (!committing) throw failure;
    return await settle(context.idempotencyKey, failure, options);
  } finally {
    clearInterval(pulse);
  }
}

function failureOf(error: unknown, context: ExecuteContext, { tool }: ExecuteOptions): CountersignError {
  if (error instanceof CommitLost) return unknownEffect(tool, error);
  if (context.signal.aborted && !(error instanceof CountersignError)) {
    return new CountersignError('TOOL_FAILED', `${tool}: the execution was cancelled and rolled back.`, {
      fix: 'Propose the action again if it is still wanted.',
      cause: error,
    });
  }
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return new CountersignError('TOOL_FAILED', `${tool}: the execution took too long and was rolled back.`, {
      expected: "an execution within the tool's timeoutMs",
      fix: 'Touch fewer rows, or ask the operator for a longer timeoutMs.',
      cause: error,
    });
  }
  return asFailure(error, { tool, phase: 'writing' });
}

/** Finds out whether a lost commit took effect. Only the record of the key can tell, and only once it is final. */
async function settle(key: string, failure: CountersignError, { effects, tool }: ExecuteOptions): Promise<Execution> {
  let found;
  try {
    found = await effects.lookUp(key);
  } catch (error) {
    throw unknownEffect(tool, error);
  }
  if (found.happened === 'yes') return found.execution;
  if (found.happened === 'unknown') throw unknownEffect(tool, failure);
  if (failure.code !== 'TOOL_UNAVAILABLE' && failure.code !== 'EFFECT_UNKNOWN') throw failure;
  // The key is void from now on, so another attempt with it is of no use.
  throw new CountersignError('TOOL_FAILED', `${tool}: the connection was lost and the change was not made.`, {
    fix: 'Propose the action again.',
    cause: failure,
  });
}

function unknownEffect(tool: string, cause: unknown): CountersignError {
  return new CountersignError(
    'EFFECT_UNKNOWN',
    `${tool}: the connection was lost while the change was being committed.`,
    {
      fix: 'Look the key up once the database can be reached.',
      cause,
    },
  );
}
