/** Planted: the activity `execute` asks for no grant. Loaded before a worker of a test run. */
import { Worker, type WorkerOptions } from '@temporalio/worker';
import type { Report } from '../../activities/contract.js';
import type { Proposal } from '../../src/action/proposal.js';
import { digest } from '../../src/action/json.js';
import { toolbox } from '../world/tools.js';
import type { WorkerPlaces } from '../world/worker-process.js';

const tools = toolbox.make(JSON.parse(process.env['CHAOS_OPTIONS'] ?? '{}') as WorkerPlaces);

async function execute(proposal: Proposal): Promise<Report> {
  const tool = tools.find(({ name }) => name === proposal.tool);
  if (tool === undefined) throw new Error(`no tool ${proposal.tool}`);
  const startedAt = Date.now();
  const signal = AbortSignal.timeout(5_000);
  const input = tool.input.parse(proposal.input);
  const execution = await tool.execute(input, {
    idempotencyKey: `unguarded:${proposal.actionId}`,
    preDigest: digest(await tool.capture(input, {}, { signal })),
    constraints: [],
    rows: 1,
    signal,
    heartbeat: () => {},
  });
  return { kind: 'done', execution, startedAt, tookMs: Date.now() - startedAt };
}

const create = Worker.create.bind(Worker);
Worker.create = (options: WorkerOptions) => create({ ...options, activities: { ...options.activities, execute } });
