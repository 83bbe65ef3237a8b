/** Determines in whose name the end of an action is recorded. */
import { asCountersignError } from '../src/action/errors.js';
import type { Digest } from '../src/action/json.js';
import type { Proposal } from '../src/action/proposal.js';
import type { ReceiptClaims } from '../src/action/receipt.js';
import { authenticate, type Authentic } from './authenticate.js';
import type { ActionRequest } from './contract.js';
import type { Dependencies } from './deps.js';
import { sealedProposal, workflowIdentity } from './step.js';

/** The proposer of an action, as far as it could be verified. */
export interface Author {
  readonly tenant: string;
  readonly actionId: string;
  readonly proposalDigest: Digest;
  readonly tool: string;
  readonly proposal: Proposal;
  readonly agent?: string;
  readonly cause?: ReceiptClaims['cause'];
  /** Absent when the signature does not verify now, although the ledger admitted this same proposal before. */
  readonly authentic?: Authentic;
}

/**
 * Determines who proposed the action, as of `at`. A proposal that the ledger admitted was authentic at that time. It still belongs to the
 * same agent when the credential has expired since or this worker's clock is wrong, and the agent must get the outcome that is recorded.
 *
 * @throws CountersignError what `authenticate` throws, when the ledger never admitted this proposal
 */
export async function authorOf(request: ActionRequest, deps: Dependencies, at?: Date): Promise<Author> {
  try {
    const authentic = await authenticate(request, deps, at);
    const { proposal, digest: proposalDigest, agent, authorization } = authentic;
    return {
      tenant: agent.tenant,
      actionId: proposal.actionId,
      proposalDigest,
      tool: proposal.tool,
      proposal,
      agent: agent.id,
      ...(authorization === undefined ? {} : { cause: authorization.cause }),
      authentic,
    };
  } catch (thrown) {
    const admitted = await admittedAs(request, thrown, deps);
    if (admitted === undefined) throw thrown;
    return admitted;
  }
}

async function admittedAs(
  request: ActionRequest,
  thrown: unknown,
  { ledger }: Dependencies,
): Promise<Author | undefined> {
  const { retryable, code } = asCountersignError(thrown);
  if (retryable || code === 'INTERNAL') return undefined;
  const { tenant, actionId } = workflowIdentity();
  let proposal: Proposal;
  try {
    proposal = sealedProposal(request);
  } catch {
    return undefined;
  }
  const record = await ledger.actions.find(tenant, actionId);
  if (record?.digest !== request.digest) return undefined;
  return { tenant, actionId, proposalDigest: record.digest, tool: proposal.tool, proposal };
}
