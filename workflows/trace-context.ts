/** Hands the trace context, which an action was started with, on to its steps and to what it begins. It starts no span, and reads nothing of it. */
import type { Headers, WorkflowInterceptorsFactory } from '@temporalio/workflow';
import { TRACE_HEADER } from '../src/temporal.js';

/** Made anew for every workflow. Without a context, nothing is added anywhere. */
export const interceptors: WorkflowInterceptorsFactory = () => {
  let carried: Headers = {};
  const carrying = <Input extends { readonly headers: Headers }>(input: Input): Input => ({
    ...input,
    headers: { ...carried, ...input.headers },
  });
  return {
    inbound: [
      {
        execute(input, next) {
          const context = input.headers[TRACE_HEADER];
          if (context !== undefined) carried = { [TRACE_HEADER]: context };
          return next(input);
        },
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => next(carrying(input)),
        scheduleLocalActivity: (input, next) => next(carrying(input)),
        startChildWorkflowExecution: (input, next) => next(carrying(input)),
        continueAsNew: (input, next) => next(carrying(input)),
      },
    ],
  };
};
