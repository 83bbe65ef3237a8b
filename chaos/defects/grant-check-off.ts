/** Planted: the activity `execute` asks for no grant. */
import { Worker } from '@temporalio/worker';
import { Context } from '@temporalio/activity';
import type { EffectReport, Sealed } from '../../activities/contract.js';
import type { Proposal } from '../../src/action/proposal.js';
import { digest } from '../../src/action/json.js';
import type { Tool } from '../../src/tools/tool.js';
import { parseKeyring, sealRecord, type Keyring } from '../../src/trust/index.js';
import { toolbox } from '../world/tools.js';
import type { WorkerPlaces } from '../world/worker.js';
import { replace } from './replace.js';

export async function grantCheckOff(places: WorkerPlaces): Promise<() => Promise<void>> {
  const tools = toolbox.make(places);
  const keyring = await parseKeyring(places.keys, 'chaos');
  const uncheck = replace(Worker, 'create', (create) => (options) => {
    const execute = (proposal: Proposal) => unguarded(proposal, tools, keyring);
    return create.call(Worker, { ...options, activities: { ...options.activities, execute } });
  });
  return async () => {
    uncheck();
    await Promise.all(tools.map((tool) => tool.close()));
  };
}

async function unguarded(proposal: Proposal, tools: readonly Tool[], keyring: Keyring): Promise<Sealed<EffectReport>> {
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
  return sealRecord<EffectReport>(
    keyring,
    { workflowId, signedDigest: digest(proposal), step: 'execute' },
    { kind: 'done', execution, startedAt, at: now, tookMs: now - startedAt },
  );
}
