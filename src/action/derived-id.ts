/** Ids of actions that follow from another action: they name it as far as there is room. */
import { createHash } from 'node:crypto';
import { MAX_ACTION_ID } from './proposal.js';

/**
 * `<prefix>:<the id>`; where that leaves no room, `<prefix>.<SHA-256 of the id, in hex>`. Two actions never share one: the character after
 * the prefix tells the forms apart.
 */
export function derivedActionId(prefix: string, actionId: string): string {
  const id = `${prefix}:${actionId}`;
  return id.length <= MAX_ACTION_ID ? id : `${prefix}.${createHash('sha256').update(actionId).digest('hex')}`;
}
