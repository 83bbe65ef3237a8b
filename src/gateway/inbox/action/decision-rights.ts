/** Whether a person may decide what waits, as far as can be told ahead: what the page offers them. The worker judges for itself. */
import type { Requirement } from '../../../action/decision.js';
import type { Shown } from '../../../action/outcome.js';
import { rolesOf, samePerson } from '../../../action/quorum.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import type { Standing } from './decision-panel.js';
import { either } from '../components/format.js';

export interface DecidingCase {
  readonly person: PersonPrincipal;
  readonly shown: Pick<Shown, 'agent' | 'requirements'>;
  /** Since it was first asked. */
  readonly waitedSeconds: number;
  /** Roles that the person has for somebody else by now. */
  readonly duties: readonly string[];
  readonly hasPasskey: boolean;
}

export function standingOf({ person, shown, waitedSeconds, duties, hasPasskey }: DecidingCase): Standing {
  const { agent, requirements } = shown;
  const [root = agent.id] = agent.id.split('/');
  if (samePerson(person.id, root)) return { kind: 'may_not', why: 'This is your own proposal.' };
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
  if (owns) return { kind: 'may_not', why: 'You answer for the agent that asks, so somebody else must decide.' };
  return { kind: 'may_not', why: `It needs ${wantedRoles(requirements, waitedSeconds)}. ${yours(person.roles)}` };
}

function wantedRoles(requirements: readonly Requirement[], waitedSeconds: number): string {
  return (
    either([...new Set(requirements.flatMap((wanted) => rolesOf(wanted, waitedSeconds)))]) || 'a role that nobody has'
  );
}

function yours(roles: readonly string[]): string {
  return roles.length === 0 ? 'You have no role.' : `You are ${either(roles, 'and')}.`;
}
