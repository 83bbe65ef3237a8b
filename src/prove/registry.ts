/** Every guarantee, in the order in which it is tried: what judges the record comes when there is one. */
import { configInvalid } from '../action/errors-config.js';
import type { Guarantee } from './guarantee.js';
import { APPROVALS } from './guarantees/approvals.js';
import {
  DELEGATIONS_RUN_OUT,
  ROLE_DELEGATIONS_RUN_OUT,
  STANDING_APPROVALS_RUN_OUT,
} from './guarantees/authority-run-out.js';
import { CONTROLS } from './guarantees/controls.js';
import { EFFECTS, EXPLAINED } from './guarantees/effects.js';
import { GATEWAY_AGENTS } from './guarantees/gateway-agents.js';
import { GATEWAY_MCP } from './guarantees/gateway-mcp.js';
import { GATEWAY_PEOPLE } from './guarantees/gateway-people.js';
import { GATEWAY_RATE } from './guarantees/gateway-rate.js';
import { GRANTS } from './guarantees/grants.js';
import { IDENTITY } from './guarantees/identity.js';
import { KEYS } from './guarantees/keys.js';
import { PASSKEYS } from './guarantees/passkeys.js';
import { POLICY } from './guarantees/policy.js';
import { PRIVACY } from './guarantees/privacy.js';
import { RECORD } from './guarantees/record.js';
import { APPROVALS_RUN_OUT, GRANTS_RUN_OUT } from './guarantees/run-out.js';

export const GUARANTEES: readonly Guarantee[] = [
  ...KEYS,
  ...IDENTITY,
  DELEGATIONS_RUN_OUT,
  ...POLICY,
  ...EFFECTS,
  ...GRANTS,
  GRANTS_RUN_OUT,
  ...APPROVALS,
  APPROVALS_RUN_OUT,
  STANDING_APPROVALS_RUN_OUT,
  ROLE_DELEGATIONS_RUN_OUT,
  ...PASSKEYS,
  ...GATEWAY_AGENTS,
  ...GATEWAY_PEOPLE,
  ...GATEWAY_MCP,
  ...GATEWAY_RATE,
  ...CONTROLS,
  EXPLAINED,
  ...PRIVACY,
  ...RECORD,
];

/** Those that are named, by their ids or families; all where none is. @throws CountersignError CONFIG_INVALID */
export function chosen(names: readonly string[] = []): readonly Guarantee[] {
  if (names.length === 0) return GUARANTEES;
  const unknown = names.find((name) => !GUARANTEES.some(({ id, family }) => name === id || name === family));
  if (unknown !== undefined) {
    throw configInvalid(
      '--only',
      `the id or the family of a guarantee, and ${JSON.stringify(unknown)} is none`,
      'the command',
    );
  }
  return GUARANTEES.filter(({ id, family }) => names.includes(id) || names.includes(family));
}
