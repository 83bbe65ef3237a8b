/** The error of an id that stands for something else, as it is told: workflows have no other form of an error. */
import type { ErrorView } from './errors.js';

/** Another saga has this id, or another agent's. */
export function sagaConflict(traceId: string): ErrorView {
  return {
    code: 'ACTION_CONFLICT',
    message: `Saga ${traceId} was proposed before with other steps, or by another agent.`,
    field: 'traceId',
    expected: 'a traceId that was never used for a saga, or the same steps again by the same agent',
    fix: 'Use a new traceId for a new saga.',
  };
}

/** Another proposal has this id, or another agent's: other words would not make it another one. */
export function actionConflict(actionId: string): ErrorView {
  return {
    code: 'ACTION_CONFLICT',
    message: `Action ${actionId} was proposed before with another tool, input or expectation, or by another agent.`,
    field: 'actionId',
    expected: 'an actionId that was never used, or the same tool, input and expectation again by the same agent',
    fix: 'Use a new actionId for a new action.',
  };
}
