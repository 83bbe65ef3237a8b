/** The gate before an effect: it checks that the grant is valid for exactly this action, and uses it in the ledger. */
import { Context } from '@temporalio/activity';
import { CountersignError } from '../src/action/errors.js';
import type { GrantClaims } from '../src/action/grant.js';
import { assertJson } from '../src/action/json.js';
import { proposalDigest, zodError, type Proposal } from '../src/action/proposal.js';
import { DEFAULT_SENDS } from '../src/tools/sends.js';
import type { Tool } from '../src/tools/tool.js';
import { assertGrantInTime, openGrant } from '../src/trust/index.js';
import { frozen, revoked } from './admit.js';
import { findTool } from './authenticate.js';
import type { GrantUse, SendCount } from '../src/ledger/index.js';
import type { Dependencies } from './deps.js';
import { workflowIdentity } from './step.js';
import { radarOff, watchedWithinMs } from './watched.js';

/** A grant that was checked and used. */
export interface Passed {
  readonly tool: Tool;
  readonly claims: GrantClaims;
  readonly input: unknown;
  /** Whether an earlier attempt passed this gate and may have made the effect. */
  readonly tried: boolean;
  /** The sends of the action, where the use of the grant counted one. */
  readonly sent?: SendCount;
  /** What came after the earlier attempt and stands against it: nothing may be sent again. */
  readonly barred?: CountersignError;
}

type Granted = Pick<Passed, 'tool' | 'claims' | 'input'>;

/**
 * Checks that the grant is for exactly this action. The check relies only on the grant's signature and on the workflow id that the Temporal
 * server states; whether it is still valid is for the ledger's clock to say, when the grant is used.
 */
export async function checkGrant(untrusted: unknown, token: string, deps: Dependencies): Promise<Granted> {
  const claims = await openGrant(deps.keyring, token);
  assertJson(untrusted, 'proposal');
  const { tenant, actionId } = workflowIdentity();
  if (claims.tenant !== tenant || claims.actionId !== actionId) throw foreign('another action', 'workflowId');
  // The granted proposal was validated before. A proposal with another digest is not read any further.
  const proposal = (untrusted ?? {}) as unknown as Proposal;
  if (claims.proposalDigest !== proposalDigest(proposal)) throw foreign('another proposal', 'proposal');

  const tool = findTool(deps.tools, claims.tool);
  if (tool.environment !== claims.environment) throw foreign('another environment', 'tool.environment');
  const parsed = tool.input.safeParse(proposal.input);
  if (!parsed.success) throw zodError('INVALID_INPUT', parsed.error, 'proposal.input');
  if (tool.actionType(parsed.data) !== claims.actionType) throw foreign('another action type', 'proposal.input');
  return { tool, claims, input: parsed.data };
}

/** Uses the grant in the ledger. The ledger allows one use, and none when the action is frozen, a credential was revoked, or nobody watches where somebody must. */
export async function passGate({ tool, claims, input }: Granted, deps: Dependencies): Promise<Passed | 'returned'> {
  const { tenant, actionId } = claims;
  const { activity: usedBy } = workflowIdentity();
  const { attempt } = Context.current().info;
  const use = await deps.ledger.grants.use({
    jti: claims.jti,
    tenant,
    actionId,
    agent: claims.agent,
    tool: claims.tool,
    targets: claims.targets,
    credentials: claims.credentials ?? [],
    usedBy,
    attempt,
    watchedWithinMs: watchedWithinMs(tool, claims.actionType),
    stretchMs: (tool.sends ?? DEFAULT_SENDS).withinMs,
  });
  // Before anybody looks up what they did: those who used them may only be slow.
  if (use.otherUses > 0 && (use.kind === 'first' || use.kind === 'again')) {
    await deps.ledger.grants.stopOthers({ jti: claims.jti, tenant, actionId });
  }
  switch (use.kind) {
    case 'first':
      try {
        assertGrantInTime(claims, new Date(use.usedAt * 1000));
      } catch (error) {
        // The ledger has another time for it than was signed. Nothing is sent, so this use must not count as an effect.
        await deps.ledger.grants.return({ jti: claims.jti, tenant, actionId, usedBy, attempt });
        throw error;
      }
      return { tool, claims, input, tried: use.otherUses > 0, sent: use.sent };
    case 'again': {
      const barred = against(use, tool);
      return { tool, claims, input, tried: true, ...(barred === undefined ? {} : { barred }) };
    }
    case 'returned':
      return 'returned';
    case 'overtaken':
      throw overtaken();
    case 'frozen':
      throw frozen(use.freeze);
    case 'revoked':
      throw revoked(use.revocation);
    case 'unwatched':
      throw radarOff(tool.name);
    case 'expired':
      throw grantExpired(claims);
    case 'replayed':
      throw new CountersignError('GRANT_REPLAYED', `The grant was used before, by ${use.usedBy}.`, {
        field: 'grant',
        expected: 'a grant that was never used',
        fix: 'Propose again: every execution needs its own grant.',
      });
    case 'ended':
      throw new CountersignError('GRANT_REPLAYED', 'The action has ended; none of its grants is valid any more.', {
        field: 'grant',
      });
    case 'unknown':
      throw foreign('no action in the ledger', 'grant');
  }
}

/** What stands against a repetition. */
function against(
  { freeze, revocation, unwatched }: Extract<GrantUse, { kind: 'again' }>,
  { name }: Tool,
): CountersignError | undefined {
  if (freeze !== undefined) return frozen(freeze);
  if (revocation !== undefined) return revoked(revocation);
  return unwatched === undefined ? undefined : radarOff(name);
}

/**
 * The error of an attempt that was taken for dead and came back, or whose effect is being looked up. Temporal takes no answer of it any more; what it
 * would seal, it must not seal that nothing was done.
 */
export function overtaken(): CountersignError {
  return new CountersignError('EFFECT_UNKNOWN', 'A later attempt has taken this over; this one sends nothing.', {
    field: 'grant',
    retryable: true,
  });
}

function foreign(what: string, field: string): CountersignError {
  return new CountersignError('GRANT_INVALID', `The grant is for ${what}.`, {
    field,
    expected: 'exactly what the grant was signed for',
    fix: 'Nothing was done. Propose the action through trustedAction.',
  });
}

function grantExpired({ exp }: GrantClaims): CountersignError {
  return new CountersignError('GRANT_EXPIRED', `The grant expired at ${new Date(exp * 1000).toISOString()}.`, {
    field: 'grant',
  });
}
