/**
 * What people made of proposals: kept with the record that this ended the action, and begun by the round that looks after what was left behind
 * where the action's own workflow was ended from outside before it could.
 */
import { Context } from '@temporalio/activity';
import { asCountersignError } from '../src/action/errors.js';
import { digestText, type Json } from '../src/action/json.js';
import type { ApprovalRecord } from '../src/action/outcome.js';
import { proposalDigest, signedProposalDigest } from '../src/action/proposal.js';
import { editedSignature } from '../src/trust/index.js';
import type { ActionRequest, Stopped } from './contract.js';
import type { Dependencies } from './deps.js';

type Decided = Extract<Stopped, { kind: 'decided' }>;

/** As it is begun: what the person signed for. Undefined where history has something else, which nobody signed for. */
export function editedRequest(
  { signature }: ActionRequest,
  { tokens, edited: proposal }: Decided,
  { edited, digest }: ApprovalRecord,
): ActionRequest | undefined {
  const token = tokens.find((one) => digestText(one) === digest);
  if (proposal === undefined || token === undefined || signedProposalDigest(proposal) !== edited?.digest)
    return undefined;
  return { proposal, digest: proposalDigest(proposal), signature: editedSignature(token, signature) };
}

/** As it is kept: encrypted where values of the tool are redacted. */
export async function editOf(
  tenant: string,
  request: ActionRequest,
  { redaction }: Dependencies,
): Promise<{ readonly taskQueue: string; readonly request: Json }> {
  const whole = request as unknown as Json;
  const redactor = await redaction?.about(tenant, request.proposal);
  const { taskQueue } = Context.current().info;
  return { taskQueue, request: redactor === undefined ? whole : await redactor.seal(whole) };
}

/** Begins what was not begun. What was, is left as it is. @returns how many were seen to */
export async function beginEdits(olderThanMs: number, deps: Dependencies): Promise<number> {
  const { ledger, workflows, taskQueue } = deps;
  let done = 0;
  for (const { tenant, actionId, request } of await ledger.edits.due(taskQueue, olderThanMs)) {
    const readable = await opened(tenant, request, deps);
    if (readable === 'elsewhere') continue;
    if (readable !== 'erased') await workflows.begin(tenant, readable);
    await ledger.edits.begun(tenant, actionId);
    done++;
  }
  return done;
}

/** `erased`: with the person that it is about, so that nothing can be done of it; `elsewhere`: for a worker that has the key. */
async function opened(
  tenant: string,
  request: Json,
  { redaction }: Pick<Dependencies, 'redaction'>,
): Promise<ActionRequest | 'erased' | 'elsewhere'> {
  if ('proposal' in (request as object)) return request as unknown as ActionRequest;
  if (redaction === undefined) return 'elsewhere';
  try {
    return (await redaction.unseal(tenant, request)) as unknown as ActionRequest;
  } catch (thrown) {
    const { code, field } = asCountersignError(thrown);
    if (code !== 'PAYLOAD_KEY_UNKNOWN') throw thrown;
    return field === 'subject' ? 'erased' : 'elsewhere';
  }
}
