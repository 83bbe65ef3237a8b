/** Whether a person may decide on an action, as far as the page can tell. The worker checks for itself. */
import type { Requirement } from '../../../action/decision.js';
import type { Shown } from '../../../action/outcome.js';
import { rolesOf, samePerson } from '../../../action/quorum.js';
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
}

export function decisionRightsOf({ person, shown, waitedSeconds, duties, hasPasskey }: DecisionCase): DecisionRights {
  const { agent, requirements } = shown;
  const [root = agent.id] = agent.id.split('/');
  if (samePerson(person.id, root)) return { kind: 'may_not', why: 'You proposed this yourself.' };
  const owns = agent.owner !== undefined && samePerson(person.id, agent.owner);
  const mine = requirements.filter((wanted) => {
    if (owns && wanted.self !== true) return false;
    const roles = rolesOf(wanted, waitedSeconds);
    return [...person.roles, ...duties].some((role) => roles.includes(role));
  });
  if (mine.length > 0) {
    const passkey = mine.some((wanted) => wanted.passkey === true);
    return { kind: 'may', ...(passkey ? { passkey: hasPasskey ? ('enrolled' as const) : ('missing' as const) } : {}) };
  }
  if (owns) return { kind: 'may_not', why: 'You own the agent that proposed this, so another person must decide.' };
  return { kind: 'may_not', why: `This needs ${wantedRoles(requirements, waitedSeconds)}. ${yours(person.roles)}` };
}

function wantedRoles(requirements: readonly Requirement[], waitedSeconds: number): string {
  return (
    either([...new Set(requirements.flatMap((wanted) => rolesOf(wanted, waitedSeconds)))]) ||
    'a role that no policy names'
  );
}

function yours(roles: readonly string[]): string {
  return roles.length === 0 ? 'You have no role.' : `You are ${either(roles, 'and')}.`;
}
