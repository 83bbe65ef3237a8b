/** Whose doing an agent's actions are: separation of duties goes by it, in the workers and on the page. */
import type { Agent } from './principal.js';
import { samePerson } from './quorum.js';

/** The first agent of a chain of delegations. A delegate is its delegator's doing: `ann/helper` is Ann's. */
export function rootAgent(id: string): string {
  const [root = id] = id.split('/');
  return root;
}

/** Whether the person is the agent, or the one on whose behalf it acts. */
export function isAgentItself(person: string, { id }: Pick<Agent, 'id'>): boolean {
  return samePerson(person, rootAgent(id));
}

/** Whether the person answers for the agent. */
export function isOwnerOf(person: string, { owner }: Pick<Agent, 'owner'>): boolean {
  return owner !== undefined && samePerson(person, owner);
}
