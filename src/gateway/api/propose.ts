/** An agent's proposal over HTTP: attested as the agent's own, and proposed in its name. */
import { endedView } from '../../action-records/action-record.js';
import { CountersignError } from '../../action/errors.js';
import type { Digest } from '../../action/json.js';
import { ACTION_ID_PATTERN, parseProposal, proposalDigest } from '../../action/proposal.js';
import type { Countersign } from '../../client/countersign.js';
import { attestAgent, type Credential, type Keyring } from '../../trust/index.js';
import { nameAction } from '../../telemetry/log-lines.js';
import type { GatewayDependencies } from '../deps.js';
import type { AgentPrincipal } from '../auth/principal.js';
import { findFor, type OwnAction } from './found.js';

/** An action gets this long to begin, however short the agent waits: otherwise it would not be known whether it began. */
export const BEGIN_MS = 2000;

/** Attests who the agent is, for this one proposal, and proposes in its name. */
export async function propose(
  deps: GatewayDependencies,
  agent: AgentPrincipal,
  given: object,
  waitMs: number,
): Promise<OwnAction> {
  const { countersign, ledger } = deps;
  const proposed = parseProposal(given);
  const { actionId } = proposed;
  const { tenant } = agent;
  nameAction(tenant, actionId);
  const timeoutMs = Math.max(waitMs, BEGIN_MS);
  try {
    const answer = await inNameOf(deps, agent).perform(proposed, { timeoutMs });
    if (answer.status === 'pending') {
      return await findFor({ countersign, ledger }, agent, actionId);
    }
    return { tenant, actionId, view: endedView(answer) };
  } catch (error) {
    if (!(error instanceof CountersignError) || error.code !== 'TIMED_OUT') throw error;
    // It goes on, if it began: then it is there, and is this very proposal.
    const begun = await findFor({ countersign, ledger }, agent, actionId).catch(() => undefined);
    const digest = begun?.view?.proposalDigest ?? begun?.archived?.proposalDigest;
    if (begun === undefined || digest !== proposalDigest(proposed)) throw error;
    return begun;
  }
}

/** The client in the agent's name: whatever it signs is attested as the agent's own. */
export function inNameOf({ countersign, keyring }: GatewayDependencies, agent: AgentPrincipal): Countersign {
  const { id, tenant } = agent;
  return countersign.as({ id, tenant, credentialFor: (digest) => attested(keyring, agent, digest) });
}

/** The agent's credential for what has this digest, and nothing else. @throws CountersignError FORBIDDEN */
async function attested(
  keyring: Keyring,
  { id, tenant, roles, scopes, owner, auth, jti }: AgentPrincipal,
  digest: Digest,
): Promise<Credential> {
  const agent = { id, tenant, roles, scopes, ...(owner === undefined ? {} : { owner }), auth, jti };
  return await attestAgent(keyring, agent, digest).catch(tooLargeToAttest);
}

/** Each of the agent's roles and scopes is as it should be; all of them together may still be more than a credential holds. */
function tooLargeToAttest(error: unknown): never {
  if (!(error instanceof CountersignError) || error.code !== 'CONFIG_INVALID') throw error;
  throw new CountersignError('FORBIDDEN', 'Your roles and scopes together do not fit one credential.', {
    field: 'authorization',
    expected: 'fewer or shorter roles and scopes',
    cause: error,
  });
}

const ID = ACTION_ID_PATTERN.source.slice(1, -1);

/** An action id as it is, or in quotes as a structured field has it. */
export const IDEMPOTENCY_KEY = new RegExp(`^(?:${ID}|"${ID}")$`);

export function idempotencyKey(header: string | undefined): string | undefined {
  return header?.replace(/^"(.*)"$/, '$1');
}
