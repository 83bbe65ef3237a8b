/** A replaying worker that notes what today's code asks for: the SDK tells that a replay failed, not always where. */
import { Worker } from '@temporalio/worker';
import type { Workflow, WorkflowCreator } from '@temporalio/worker/lib/workflow/interface.js';
import { addIssued, type Issued } from './commands.js';

/** Of the history that is replayed now. */
export interface Trace {
  issued: Issued[];
}

/** A worker class of its own: the SDK makes its replaying workers itself, one history at a time. */
export function tracedWorker(trace: Trace): typeof Worker {
  return class extends Worker {
    protected static override async createWorkflowCreator(
      ...given: Parameters<(typeof Worker)['createWorkflowCreator']>
    ): Promise<WorkflowCreator> {
      const creator = await super.createWorkflowCreator(...given);
      return {
        createWorkflow: async (options) => {
          trace.issued = [];
          return traced(await creator.createWorkflow(options), trace);
        },
        destroy: () => creator.destroy(),
      };
    }
  };
}

function traced(workflow: Workflow, trace: Trace): Workflow {
  return {
    async activate(activation) {
      const completion = await workflow.activate(activation);
      addIssued(trace.issued, completion);
      return completion;
    },
    getAndResetSinkCalls: () => workflow.getAndResetSinkCalls(),
    dispose: () => workflow.dispose(),
  };
}
