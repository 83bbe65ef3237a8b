/** Step 1: who proposes what. Validates, authenticates, and reads from the real system what the action would touch. */
import type { ActionType } from '../src/action/decision.js';
import { CountersignError } from '../src/action/errors.js';
import type { Digest } from '../src/action/json.js';
import type { Agent, Authority } from '../src/action/principal.js';
import { parseProposal, proposalDigest, zodError, type Proposal } from '../src/action/proposal.js';
import { UNDO } from '../src/action/undo.js';
import type { Tool } from '../src/tools/tool.js';
import {
  isWarrant,
  scopeCovers,
  verifyProposal,
  verifyWarrant,
  type Keyring,
  type WarrantClaims,
} from '../src/trust/index.js';
import { compileExpectations, type Expectation } from '../src/verify/index.js';
import type { ActionRequest } from './contract.js';
import type { Dependencies } from './deps.js';
import { workflowIdentity } from './step.js';

/** A proposal whose author and content are certain, before anything is known of its tool. */
export interface Authentic {
  readonly proposal: Proposal;
  readonly digest: Digest;
  readonly agent: Agent;
  readonly authority: Authority;
  /** Set when a worker, not an agent, let it be proposed: it undoes another action. */
  readonly warrant?: WarrantClaims;
}

/** A proposal ready to be decided on. */
export interface Proposed extends Authentic {
  readonly tool: Tool;
  readonly input: unknown;
  readonly actionType: ActionType;
  readonly operation: string;
  /** What the agent promises, compiled. */
  readonly expectations: readonly Expectation[];
}

/**
 * The signature covers the digest, the digest the proposal, and the workflow's id is the agent's tenant and the proposal's
 * action: so nobody can run a proposal under another name.
 */
export async function authenticate(
  request: ActionRequest,
  { keyring }: Dependencies,
  now = new Date(),
): Promise<Authentic> {
  const proposal = parseProposal(request.proposal);
  const digest = proposalDigest(proposal);
  const { agent, authority, warrant } = await proposerOf(request, proposal, digest, keyring, now);
  const { tenant, actionId } = workflowIdentity();
  if (tenant !== agent.tenant || actionId !== proposal.actionId || digest !== request.digest) {
    throw new CountersignError('AGENT_UNVERIFIED', 'The proposal does not belong to the workflow that carries it.', {
      field: 'workflowId',
      expected: `${agent.tenant}/${proposal.actionId}`,
      fix: 'Propose through the client library, which names the workflow.',
    });
  }
  return { proposal, digest, agent, authority, ...(warrant === undefined ? {} : { warrant }) };
}

async function proposerOf(
  { proof }: ActionRequest,
  { actionId }: Proposal,
  digest: Digest,
  keyring: Keyring,
  now: Date,
): Promise<Pick<Authentic, 'agent' | 'authority' | 'warrant'>> {
  if (typeof proof === 'string' && isWarrant(proof)) {
    const { agent, authority, claims } = await verifyWarrant(keyring, proof, { digest, now });
    return { agent, authority, warrant: claims };
  }
  const proposer = await verifyProposal(keyring, proof, { digest, now });
  // Who took such an id first would keep an action from being undone.
  if (!actionId.startsWith(UNDO)) return proposer;
  throw new CountersignError('INVALID_PROPOSAL', `An action id that begins with "${UNDO}" is for undoing.`, {
    field: 'proposal.actionId',
    expected: `an id that does not begin with "${UNDO}"`,
    fix: 'Use another actionId.',
  });
}

/**
 * What a proposal revises is an action of the same agent (or of one in the same chain) for which a person asked for changes: else it would
 * tell people that it does what they asked for, when nobody asked.
 *
 * @throws CountersignError INVALID_PROPOSAL
 */
export async function assertRevises({ proposal, agent }: Authentic, { ledger }: Dependencies): Promise<void> {
  const { revises } = proposal;
  if (revises === undefined) return;
  const outcome = (await ledger.actions.find(agent.tenant, revises))?.outcome;
  const asker = outcome?.facts?.agent;
  if (outcome?.error?.code === 'CHANGES_REQUESTED' && asker !== undefined && rootOf(asker) === rootOf(agent)) return;
  // Whether another agent's action exists is nobody else's business: the answer is the same.
  throw new CountersignError('INVALID_PROPOSAL', `No changes were asked for of an action ${revises} of this agent.`, {
    field: 'proposal.revises',
    expected: 'the id of an action of the same agent that ended with CHANGES_REQUESTED',
    fix: 'Leave it out, or name the action whose outcome asks for changes.',
  });
}

function rootOf({ id, via: [root = id] = [] }: Agent): string {
  return root;
}

/** Finds the tool and reads the input by the tool's own schema. */
export function resolve(authentic: Authentic, { tools }: Pick<Dependencies, 'tools'>): Proposed {
  const { proposal, agent } = authentic;
  const tool = findTool(tools, proposal.tool);
  // Before the input is read: what a tool takes is no business of those who may not use it.
  if (!scopeCovers(agent.scopes, tool.name)) throw outOfScope(agent, `use the tool ${tool.name}`, 'proposal.tool');
  const parsed = tool.input.safeParse(proposal.input);
  if (!parsed.success) throw zodError('INVALID_INPUT', parsed.error, 'proposal.input');
  const input = parsed.data;
  const operation = tool.operation(input);
  if (!scopeCovers(agent.scopes, tool.name, operation)) {
    throw outOfScope(agent, `do ${JSON.stringify(operation)} with the tool ${tool.name}`, 'proposal.input');
  }
  return {
    ...authentic,
    tool,
    input,
    expectations: compileExpectations(proposal.expect),
    actionType: tool.actionType(input),
    operation,
  };
}

function outOfScope({ id, scopes }: Agent, what: string, field: string): CountersignError {
  return new CountersignError('SCOPE_DENIED', `Agent ${id} may not ${what}.`, {
    field,
    expected: `what the agent's scopes cover: ${scopes.join(', ')}`,
    fix: 'Ask for something else, or have a credential made with this scope.',
  });
}

export function findTool(tools: ReadonlyMap<string, Tool>, name: string): Tool {
  const tool = tools.get(name);
  if (tool !== undefined) return tool;
  throw new CountersignError('UNKNOWN_TOOL', `There is no tool named ${JSON.stringify(name)}.`, {
    field: 'proposal.tool',
    expected: `one of: ${[...tools.keys()].sort().join(', ') || '(no tool is configured)'}`,
    fix: "Correct the name, or add the tool to the worker's config.",
  });
}
