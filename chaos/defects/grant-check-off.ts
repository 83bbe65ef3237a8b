/** Planted: the activity `execute` asks for no grant. Loaded before a worker of a test run. */
import { Worker, type WorkerOptions } from '@temporalio/worker';
import { Context } from '@temporalio/activity';
import type { EffectReport, Sealed } from '../../activities/contract.js';
import type { Proposal } from '../../src/action/proposal.js';
import { digest } from '../../src/action/json.js';
import { loadKeyring, sealRecord } from '../../src/trust/index.js';
import { toolbox } from '../world/tools.js';
import type { WorkerPlaces } from '../world/worker-process.js';

const tools = toolbox.make(JSON.parse(process.env['CHAOS_OPTIONS'] ?? '{}') as WorkerPlaces);

async function execute(proposal: Proposal): Promise<Sealed<EffectReport>> {
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
  const now = Date.now();
  const workflowId = Context.current().info.workflowExecution?.workflowId ?? '';
  const keyring = await loadKeyring({ env: process.env });
  return sealRecord<EffectReport>(
    keyring,
    { workflowId, signedDigest: digest(proposal), step: 'execute' },
    { kind: 'done', execution, startedAt, at: now, tookMs: now - startedAt },
  );
}

const create = Worker.create.bind(Worker);
Worker.create = (options: WorkerOptions) => create({ ...options, activities: { ...options.activities, execute } });
