/** Resolves an unknown outcome: a person who has no part in the agent says whether the effect happened. */
import { CountersignError } from '../src/action/errors.js';
import type { Outcome, UnreceiptedOutcome } from '../src/action/outcome.js';
import type { LedgerAction } from '../src/ledger/index.js';
import { assertSeparateDuties, type SignedCommand } from '../src/trust/index.js';
import type { Execute } from './authority-commands.js';
import type { Dependencies } from './deps.js';
import { receiptStatementOf, sign } from './record-outcome.js';

type Resolve = Extract<SignedCommand, { kind: 'resolve' }>;

/** Checks that the signer neither is the agent nor answers for it. @throws CountersignError NOT_FOUND, APPROVAL_FORBIDDEN */
export async function checkResolution(command: Resolve, deps: Dependencies): Promise<Execute> {
  const record = await recordOf(command, deps);
  const { agent, owner, outcome } = record;
  const { selfApproval } = deps.settings;
  // What left no facts behind is known by its admission. Where a later run had another credential, both of its owners are the agent's.
  const agents = [outcome?.facts?.agent, agent === undefined ? undefined : { id: agent, owner }];
  for (const whose of agents) {
    if (whose !== undefined) assertSeparateDuties({ person: command.by, agent: whose, selfApproval }, 'command.by');
  }
  return async () => ({ kind: 'resolve', outcome: await resolveUnknown(command, record, deps) });
}

async function recordOf({ tenant, subject }: Resolve, { ledger }: Dependencies): Promise<LedgerAction> {
  const record = await ledger.actions.find(tenant, subject);
  if (record !== undefined) return record;
  throw new CountersignError('NOT_FOUND', `There is no action ${subject} of tenant ${tenant}.`, { field: 'actionId' });
}

/** Records whether the effect happened. The rest of the outcome stays as it was. @throws CountersignError NOT_UNKNOWN */
async function resolveUnknown(command: Resolve, record: LedgerAction, deps: Dependencies): Promise<Outcome> {
  const { tenant, subject: actionId, verdict, by, roles, at, reason: evidence } = command;
  const { outcome: recorded } = record;
  if (recorded?.resolution?.digest === command.digest) return recorded;
  if (recorded?.status !== 'unknown') throw notUnknown(actionId, record.status);
  const { receipt: _receipt, error: _error, ...before } = recorded;
  const happened = verdict === 'happened';
  const outcome: UnreceiptedOutcome = {
    ...before,
    status: happened ? 'success' : 'failed',
    reason: `${by} found out that it ${happened ? 'happened' : 'did not happen'}: ${evidence}`,
    ...(happened ? {} : { error: { code: 'TOOL_FAILED', message: `It did not happen, as ${by} found out.` } }),
    checks: [...before.checks, { name: 'resolution', ok: true, detail: `${by}: ${evidence}`.slice(0, 600) }],
    resolution: { verdict, evidence, by, roles, at, digest: command.digest },
  };
  const { agent, compensates: cause } = outcome.facts ?? {};
  const claims = receiptStatementOf(
    outcome,
    {
      ...(agent === undefined ? {} : { agent: agent.id }),
      ...(cause === undefined ? {} : { cause }),
    },
    deps,
  );
  const settled = await deps.ledger.receipts.resolve({
    tenant,
    actionId,
    outcome,
    sign: (link) => sign({ ...claims, approvals: [...claims.approvals, command.digest], ...link }, deps),
    holds: { disposition: happened ? 'consume' : 'release' },
  });
  if (settled.outcome.resolution?.digest === command.digest) return settled.outcome;
  throw notUnknown(actionId, settled.outcome.status);
}

function notUnknown(actionId: string, status: string): CountersignError {
  return new CountersignError('NOT_UNKNOWN', `The outcome of ${actionId} is not unknown: it is ${status}.`, {
    field: 'actionId',
    expected: 'an action whose outcome is unknown',
    fix: `Look at it: countersign show ${actionId}`,
  });
}
