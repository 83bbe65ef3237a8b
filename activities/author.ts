/** In whose name an ending is recorded. */
import { asCountersignError } from '../src/action/errors.js';
import type { Digest } from '../src/action/json.js';
import type { ReceiptClaims } from '../src/action/receipt.js';
import { authenticate, type Authentic } from './authenticate.js';
import type { ActionRequest } from './contract.js';
import type { Dependencies } from './deps.js';
import { sealedProposal, workflowIdentity } from './step.js';

/** The proposer of an action, as far as it is certain. */
export interface Author {
  readonly tenant: string;
  readonly actionId: string;
  readonly proposalDigest: Digest;
  readonly tool: string;
  readonly agent?: string;
  readonly cause?: ReceiptClaims['cause'];
  /** Absent where the signature does not verify now, though the ledger has admitted the very proposal before. */
  readonly authentic?: Authentic;
}

/**
 * Who proposed it. A proposal that the ledger admitted was authentic then: a credential that has ended since, or a worker whose clock is
 * wrong, makes it nobody else's, and what the agent is told of it must be what is recorded.
 *
 * @throws CountersignError AGENT_UNVERIFIED and the like, when nobody attests the proposal
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
  let tool: string;
  try {
    ({ tool } = sealedProposal(request));
  } catch {
    return undefined;
  }
  const record = await ledger.actions.find(tenant, actionId);
  if (record?.digest !== request.digest) return undefined;
  return { tenant, actionId, proposalDigest: record.digest, tool };
}
