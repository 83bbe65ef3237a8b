/** The activity with which a workflow of one's own proves who proposes. It holds the agents' keys, and signs proposals only. */
import { Context } from '@temporalio/activity';
import { asActivity } from '../../activities/step.js';
import { CountersignError } from '../action/errors.js';
import { assertJson, digest, digestText, withoutUndefined } from '../action/json.js';
import {
  ACTION_ID_PATTERN,
  parseProposal,
  proposalDigest,
  signedProposalDigest,
  type Proposal,
} from '../action/proposal.js';
import { peekCredential, readCredential, signProposal, type Credential } from '../trust/index.js';
import type { Proof, ProofActivities, ProofRequest, UnnamedProposal } from '../workflow/proof.js';

/** Each a credential, its text, or the path of its file, by the name that workflows call the agent. */
export type AgentCredentials = Readonly<Record<string, Credential | string>>;

/** @throws CountersignError KEYS_MISSING, KEYS_INVALID */
export async function createProofActivities(agents: AgentCredentials): Promise<ProofActivities> {
  const read = Object.entries(agents).map(
    async ([name, held]) => [name, typeof held === 'string' ? await readCredential(held) : held] as const,
  );
  const credentials = new Map(await Promise.all(read));
  return { countersignProof: (request) => asActivity(() => prove(request, credentials)) };
}

async function prove(
  { agent, proposal: unnamed, toolCallId }: ProofRequest,
  credentials: ReadonlyMap<string, Credential>,
): Promise<Proof> {
  const credential = credentialOf(agent, credentials);
  const proposal = named(unnamed, toolCallId);
  const { actionId, traceId } = proposal;
  const { tenant, id: proposer } = peekCredential(credential);
  return {
    tenant,
    proposer,
    actionId,
    traceId,
    digest: proposalDigest(proposal),
    signature: await signProposal(credential, signedProposalDigest(proposal)),
  };
}

function credentialOf(agent: string, credentials: ReadonlyMap<string, Credential>): Credential {
  const credential = credentials.get(agent);
  if (credential !== undefined) return credential;
  throw new CountersignError('KEYS_MISSING', `This worker has no credential of an agent ${JSON.stringify(agent)}.`, {
    field: 'agent',
    expected: `one of: ${[...credentials.keys()].sort().join(', ') || '(the plugin was given none)'}`,
    fix: 'Name the agent as the plugin of the worker does, or give the plugin its credential.',
  });
}

function named(unnamed: UnnamedProposal, toolCallId: string | undefined): Proposal & { readonly traceId: string } {
  const given = withoutUndefined(unnamed);
  const workflowId = Context.current().info.workflowExecution?.workflowId ?? '';
  const traceId = given.traceId ?? traceIdOf(workflowId);
  const actionId = toolCallId === undefined ? given.actionId : actionIdOf(toolCallId, workflowId, given);
  const proposal = parseProposal({ ...given, ...(actionId === undefined ? {} : { actionId }), traceId });
  return { ...proposal, traceId };
}

/** A workflow's actions are one task. */
function traceIdOf(workflowId: string): string {
  return ACTION_ID_PATTERN.test(workflowId) ? workflowId : `workflow-${hex(digestText(workflowId))}`;
}

/**
 * Over workflow, call and what would be done. The last is part of it because some models number their calls anew: another call under an id
 * that was used is another action. The run is not: what the run before this one began is joined, and not done again.
 */
function actionIdOf(id: string, workflowId: string, proposal: UnnamedProposal): string {
  const { tool, input, expect, expectedOutcome, onMismatch } = proposal;
  const what = withoutUndefined({ id, workflowId, tool, input, expect, expectedOutcome, onMismatch });
  assertJson(what, 'proposal');
  return `call-${hex(digest(what))}`;
}

function hex(of: string): string {
  return of.slice('sha256:'.length, 'sha256:'.length + 40);
}
