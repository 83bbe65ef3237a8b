/** Authenticates proposals: verifies the agent's signature and the proposal's content, and finds the tool that it names. */
import type { ActionType } from '../src/action/decision.js';
import { CountersignError } from '../src/action/errors.js';
import type { Digest } from '../src/action/json.js';
import type { Agent, Authority } from '../src/action/principal.js';
import {
  parseProposal,
  proposalDigest,
  signedProposalDigest,
  zodError,
  type Proposal,
} from '../src/action/proposal.js';
import { COMPENSATION_PREFIX } from '../src/action/compensation-ids.js';
import { EDIT_PREFIX } from '../src/action/edit.js';
import { refuseRedacted } from '../src/privacy/redaction.js';
import type { Tool } from '../src/tools/tool.js';
import {
  isCompensationAuthorization,
  isEdited,
  scopeCovers,
  verifyEdited,
  verifyProposal,
  verifyCompensationAuthorization,
  type Editor,
  type Keyring,
  type CompensationAuthorizationClaims,
} from '../src/trust/index.js';
import { compileExpectations, type Expectation } from '../src/verify/index.js';
import type { ActionRequest } from './contract.js';
import type { Dependencies } from './deps.js';
import { workflowIdentity } from './step.js';

/** A proposal whose author and content were verified. Its tool has not been looked up yet. */
export interface Authentic {
  readonly proposal: Proposal;
  readonly digest: Digest;
  readonly agent: Agent;
  readonly authority: Authority;
  /** When it was verified, by the ledger's clock. */
  readonly at: Date;
  /** Present when a worker, not an agent, authorized the proposal: it compensates another action. */
  readonly authorization?: CompensationAuthorizationClaims;
  /** Present when a person changed what the agent had proposed. */
  readonly editor?: Editor;
}

/** A proposal as its tool reads it. */
export interface ToolInput {
  readonly tool: Tool;
  readonly input: unknown;
  readonly actionType: ActionType;
  readonly operation: string;
  readonly expect: Proposal['expect'];
  /** `expect`, compiled. */
  readonly expectations: readonly Expectation[];
}

/**
 * Verifies who made a proposal. The signature covers the whole proposal with its words, and the workflow's id must be the agent's
 * tenant and the proposal's action id, so nobody can run a proposal under another name. `at` is the time as of which it must verify, by default now.
 * Now is by the ledger's clock: a worker whose own is wrong must neither refuse what another worker takes up, nor take what has expired.
 *
 * @throws CountersignError INVALID_PROPOSAL, AGENT_UNVERIFIED, LEDGER_UNAVAILABLE and what verifying a credential throws
 */
export async function authenticate(
  request: ActionRequest,
  { keyring, ledger }: Pick<Dependencies, 'keyring' | 'ledger'>,
  at?: Date,
): Promise<Authentic> {
  return authenticateAt(request, keyring, at ?? (await ledger.clock.read()));
}

async function authenticateAt(request: ActionRequest, keyring: Keyring, now: Date): Promise<Authentic> {
  const proposal = parseProposal(request.proposal);
  const digest = proposalDigest(proposal);
  const { agent, authority, ...by } = await proposerOf(request, proposal, keyring, now);
  const { tenant, actionId } = workflowIdentity();
  if (tenant !== agent.tenant || actionId !== proposal.actionId || digest !== request.digest) {
    throw new CountersignError('AGENT_UNVERIFIED', 'The proposal does not belong to the workflow that carries it.', {
      field: 'workflowId',
      expected: `${agent.tenant}/${proposal.actionId}`,
      fix: 'Propose through the client library, which names the workflow.',
    });
  }
  return { proposal, digest, agent, authority, at: now, ...by };
}

async function proposerOf(
  { signature }: ActionRequest,
  proposal: Proposal,
  keyring: Keyring,
  now: Date,
): Promise<Pick<Authentic, 'agent' | 'authority' | 'authorization' | 'editor'>> {
  const digest = signedProposalDigest(proposal);
  if (typeof signature === 'string' && isCompensationAuthorization(signature)) {
    const { agent, authority, claims } = await verifyCompensationAuthorization(keyring, signature, { digest, now });
    return { agent, authority, authorization: claims };
  }
  if (typeof signature === 'string' && isEdited(signature)) {
    const { agent, authority, editor } = await verifyEdited(keyring, signature, { digest, now });
    assertNamedAfter(proposal, editor);
    return { agent, authority, editor };
  }
  const { agent, authority } = await verifyProposal(keyring, signature, { digest, now });
  assertNotReserved(proposal);
  return { agent, authority };
}

/** Ids of this form are not for agents. One that used such an id first would prevent an action from being compensated, or edited. */
export function assertNotReserved({ actionId }: Proposal): void {
  const reserved = [COMPENSATION_PREFIX, EDIT_PREFIX].find((prefix) => actionId.startsWith(prefix));
  if (reserved === undefined) return;
  const use = reserved === EDIT_PREFIX ? 'what a person made of a proposal' : 'undoing';
  throw new CountersignError('INVALID_PROPOSAL', `An action id that begins with "${reserved}" is for ${use}.`, {
    field: 'proposal.actionId',
    expected: `an id that does not begin with "${reserved}"`,
    fix: 'Use another actionId.',
  });
}

function assertNamedAfter({ actionId, revises }: Proposal, editor: Editor): void {
  if (actionId === editor.edited && revises === editor.actionId) return;
  throw new CountersignError('AGENT_UNVERIFIED', 'The edited proposal is not named after the action that was edited.', {
    field: 'proposal.actionId',
    expected: 'the action id that the person signed',
    fix: 'Edit the action through the client library, the gateway or the command line.',
  });
}

/** The agent to whom refusals are counted: the first in a chain of delegations, because it can create any number of the others. */
export function accountable({ tenant, id, via: [root = id] = [] }: Agent): string {
  return `${tenant}/${root}`;
}

/**
 * Finds the tool and reads the input by the tool's schema, for an agent whose scopes cover the tool and the operation.
 *
 * @throws CountersignError UNKNOWN_TOOL, SCOPE_DENIED, INVALID_INPUT, INVALID_EXPECTATION
 */
export function readAuthorizedInput({ proposal, agent }: Authentic, deps: Pick<Dependencies, 'tools'>): ToolInput {
  const tool = findTool(deps.tools, proposal.tool);
  // Checked before the input is read, because an error in it would tell an agent that may not use the tool what the tool accepts.
  if (!scopeCovers(agent.scopes, tool.name)) throw outOfScope(agent, `use the tool ${tool.name}`, 'proposal.tool');
  const read = readInput(proposal, deps);
  if (scopeCovers(agent.scopes, tool.name, read.operation)) return read;
  throw outOfScope(agent, `do ${JSON.stringify(read.operation)} with the tool ${tool.name}`, 'proposal.input');
}

/** Finds the tool and reads the input by its schema. @throws CountersignError UNKNOWN_TOOL, INVALID_INPUT, INVALID_EXPECTATION */
export function readInput(proposal: Proposal, { tools }: Pick<Dependencies, 'tools'>): ToolInput {
  const tool = findTool(tools, proposal.tool);
  refuseRedacted(proposal.input);
  const parsed = tool.input.safeParse(proposal.input);
  if (!parsed.success) throw zodError('INVALID_INPUT', parsed.error, 'proposal.input');
  const input = parsed.data;
  return {
    tool,
    input,
    operation: tool.operation(input),
    expect: proposal.expect,
    expectations: compileExpectations(proposal.expect),
    actionType: tool.actionType(input),
  };
}

function outOfScope({ id, scopes }: Agent, what: string, field: string): CountersignError {
  return new CountersignError('SCOPE_DENIED', `Agent ${id} may not ${what}.`, {
    field,
    expected: `what the agent's scopes cover: ${scopes.join(', ')}`,
    fix: 'Ask for something else, or have a credential made with this scope.',
  });
}

/** @throws CountersignError UNKNOWN_TOOL */
export function findTool(tools: ReadonlyMap<string, Tool>, name: string): Tool {
  const tool = tools.get(name);
  if (tool !== undefined) return tool;
  throw new CountersignError('UNKNOWN_TOOL', `There is no tool named ${JSON.stringify(name)}.`, {
    field: 'proposal.tool',
    expected: `one of: ${[...tools.keys()].sort().join(', ') || '(no tool is configured)'}`,
    fix: "Correct the name, or add the tool to the worker's config.",
  });
}
