/** Whether a person may decide on an action or resolve it, as far as the page can tell. The worker checks for itself. */
import type { Requirement } from '../../../action/decision.js';
import type { Shown } from '../../../action/outcome.js';
import { isAgentItself, isOwnerOf } from '../../../action/own-agents.js';
import type { Agent } from '../../../action/principal.js';
import { rolesOf } from '../../../action/quorum.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import type { DecisionRights } from './decision-panel.js';
import { either } from '../components/format.js';

interface DecisionCase {
  readonly person: PersonPrincipal;
  readonly shown: Pick<Shown, 'agent' | 'requirements'>;
  /** Since it was first asked. */
  readonly waitedSeconds: number;
  /** Roles that others delegated to the person, in force now. */
  readonly duties: readonly string[];
  readonly hasPasskey: boolean;
  /** Whether whoever answers for an agent may decide on what it does. */
  readonly selfApproval: boolean;
}

export function decisionRightsOf(decision: DecisionCase): DecisionRights {
  const { person, shown, waitedSeconds, duties, hasPasskey, selfApproval } = decision;
  const { agent, requirements } = shown;
  if (isAgentItself(person.id, agent)) return { kind: 'may_not', why: PROPOSED_IT };
  const owns = !selfApproval && isOwnerOf(person.id, agent);
  const mine = requirements.filter((wanted) => {
    if (owns && wanted.self !== true) return false;
    const roles = rolesOf(wanted, waitedSeconds);
    return [...person.roles, ...duties].some((role) => roles.includes(role));
  });
  if (mine.length > 0) {
    const passkey = mine.some((wanted) => wanted.passkey === true);
    return { kind: 'may', ...(passkey ? { passkey: hasPasskey ? ('enrolled' as const) : ('missing' as const) } : {}) };
  }
  if (owns) return { kind: 'may_not', why: OWNS_AGENT };
  return { kind: 'may_not', why: `This needs ${wantedRoles(requirements, waitedSeconds)}. ${yours(person.roles)}` };
}

/** Why this person may not say what became of the agent's action. Undefined where they may. */
export function mayNotResolve(
  person: PersonPrincipal,
  agent: Pick<Agent, 'id' | 'owner'>,
  selfApproval: boolean,
): string | undefined {
  if (isAgentItself(person.id, agent)) return PROPOSED_IT;
  return !selfApproval && isOwnerOf(person.id, agent) ? OWNS_AGENT : undefined;
}

const PROPOSED_IT = 'You proposed this yourself.';
const OWNS_AGENT = 'You own the agent that proposed this, so another person must decide.';

function wantedRoles(requirements: readonly Requirement[], waitedSeconds: number): string {
  return (
    either([...new Set(requirements.flatMap((wanted) => rolesOf(wanted, waitedSeconds)))]) ||
    'a role that no policy names'
  );
}

function yours(roles: readonly string[]): string {
  return roles.length === 0 ? 'You have no role.' : `You are ${either(roles, 'and')}.`;
}
