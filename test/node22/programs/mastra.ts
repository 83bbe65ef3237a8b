/** An agent of Mastra. Each request makes it anew, with nothing but what the storage has. */
import { Agent } from '@mastra/core/agent';
import { Mastra } from '@mastra/core/mastra';
import { PostgresStore } from '@mastra/pg';
import { Countersign } from '../../../clients/typescript/src/index.js';
import { countersignTool } from '../../../clients/typescript/src/mastra.js';
import { CLERK_TOOLS } from '../../support/clerk.js';
import { serve } from '../protocol.js';

const storage = new PostgresStore({ id: 'runs', connectionString: process.env['RUNS_URL'] ?? '' });

function clerk(): Agent {
  const cs = new Countersign();
  const { delete_rows, archive_rows, add_note } = CLERK_TOOLS;
  const agent = new Agent({
    id: 'clerk',
    name: 'Clerk',
    instructions: 'You keep the tables clean.',
    model: { id: 'local/scripted', url: process.env['OPENAI_BASE_URL'] ?? '', apiKey: 'none' },
    tools: {
      delete_rows: countersignTool(cs, { id: 'delete_rows', ...delete_rows, inputSchema: delete_rows.schema }),
      archive_rows: countersignTool(cs, { id: 'archive_rows', ...archive_rows, inputSchema: archive_rows.schema }),
      add_note: countersignTool(cs, { id: 'add_note', ...add_note, inputSchema: add_note.schema }),
    },
  });
  return new Mastra({ agents: { agent }, storage, logger: false }).getAgent('agent');
}

/** Without what was kept: the storage knows the run of the thread. */
async function resumed(thread: string) {
  const { runs } = await clerk().listSuspendedRuns({ threadId: thread });
  const [run, ...others] = runs;
  const toolCallId = run?.toolCalls[0]?.toolCallId;
  if (run === undefined || toolCallId === undefined || others.length > 0)
    throw new Error(`the storage has not the one suspended run of ${thread}: ${JSON.stringify(runs)}`);
  return clerk().resumeGenerate('look again', { runId: run.runId, toolCallId });
}

serve(async (asked) => {
  const memory = { thread: asked.thread, resource: 'tester' };
  const { finishReason, suspendPayload, text } = await (asked.do === 'start'
    ? clerk().generate(asked.order, { memory })
    : resumed(asked.thread));
  return finishReason === 'suspended' ? { kept: JSON.stringify(suspendPayload) } : { said: text };
});
