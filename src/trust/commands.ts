/** What may be said with a signed command: for each kind its shape, as it is asked for and as it is signed. */
import { z } from 'zod';
import type { CanaryTemplate } from '../action/canary.js';
import { canaryTemplateSchema } from '../action/canary-template.js';
import { hasCharacters } from '../action/characters.js';
import type { Digest } from '../action/json.js';
import type { Resolution } from '../action/outcome.js';
import type { StandingApprovalBounds } from '../action/standing-approval.js';
import { amountsSchema, MAX_CREDENTIAL_BYTES } from './claims.js';
import {
  actionIdSchema,
  agentIdSchema,
  digestSchema,
  nameSchema,
  principalSchema,
  reasonSchema,
  secondsSchema,
  tenantSchema,
  textSchema,
} from './claim-schemas.js';
import { chainSchema } from './effective-credential.js';
import { MAX_REGISTRATION_CHARACTERS } from './passkeys/registration.js';
import { credentialIdSchema } from './passkeys/response.js';

/** Ids, and names of operations. */
export const ID_PATTERN = /^[!-~]{1,128}$/;
/** The tools of a standing approval, where `*` stands for any run of characters. */
export const TOOLS_PATTERN = /^[A-Za-z0-9._*-]{1,63}$/;
/** Up to 100 numbers of alerts. */
const ALERTS_PATTERN = /^[1-9]\d{0,11}(,[1-9]\d{0,11}){0,99}$/;

const DEFAULT_TTL_SECONDS = 300;
/** It is signed to be handed in at once. */
const MAX_TTL_SECONDS = 600;

const common = { tenant: tenantSchema, reason: reasonSchema };
const unfreeze = { ...common, kind: z.literal('unfreeze'), subject: z.string().regex(/^[1-9]\d{0,9}$/) };
const resolve = {
  ...common,
  kind: z.literal('resolve'),
  subject: actionIdSchema,
  verdict: z.enum(['happened', 'did_not_happen']),
};
const recover = {
  ...common,
  kind: z.literal('recover'),
  subject: actionIdSchema,
  verdict: z.enum(['retry', 'accept']),
};
const idSchema = z.string().regex(ID_PATTERN);
const revoke = { ...common, kind: z.literal('revoke'), subject: idSchema };
/** RFC 3339 UTC. */
const timeSchema = z.iso.datetime();
const enrolPasskey = {
  ...common,
  kind: z.literal('enrol_passkey'),
  subject: credentialIdSchema,
  response: textSchema.min(1).max(MAX_REGISTRATION_CHARACTERS),
};
const retirePasskey = { ...common, kind: z.literal('retire_passkey'), subject: credentialIdSchema };
const createStandingApproval = {
  ...common,
  kind: z.literal('create_standing_approval'),
  subject: agentIdSchema,
  /** `*` stands for any run of characters, as in scopes. */
  tool: z.string().regex(TOOLS_PATTERN),
  operation: idSchema.exactOptional(),
  environment: textSchema.refine((text) => hasCharacters(text, 1, 128)).exactOptional(),
  maxRows: z.number().int().min(0).exactOptional(),
  actions: z.number().int().min(1).exactOptional(),
  amounts: amountsSchema.exactOptional(),
  until: timeSchema,
};
const withdrawStandingApproval = { ...common, kind: z.literal('withdraw_standing_approval'), subject: idSchema };
const delegateRole = {
  ...common,
  kind: z.literal('delegate_role'),
  subject: principalSchema,
  role: nameSchema,
  from: timeSchema,
  until: timeSchema,
};
/** `replaces`: the policy that was active when it was signed; absent where none was. */
const policyChange = { ...common, subject: digestSchema, replaces: digestSchema.exactOptional() };
const promotePolicy = {
  ...policyChange,
  kind: z.literal('promote_policy'),
  evidence: digestSchema.exactOptional(),
};
const rollBackPolicy = { ...policyChange, kind: z.literal('roll_back_policy') };
const shadowPolicy = { ...policyChange, kind: z.literal('shadow_policy') };
const retirePolicy = { ...policyChange, kind: z.literal('retire_policy') };
/** Pins hold for every tenant: the tool, and the digest of all that is pinned of it. */
const acceptPins = { ...common, kind: z.literal('accept_pins'), subject: nameSchema, pins: digestSchema };
/** What is shown to people who do not know it: nobody proposes it, and nothing can come of it. */
const sendCanary = {
  ...common,
  kind: z.literal('send_canary'),
  subject: actionIdSchema,
  canary: canaryTemplateSchema,
};
/** Those of what the radar found that the signer has looked into: their numbers in the ledger, with commas between them. */
const acknowledgeAlerts = {
  ...common,
  kind: z.literal('acknowledge_alerts'),
  subject: z.string().regex(ALERTS_PATTERN),
};
const endRoleDelegation = { ...common, kind: z.literal('end_role_delegation'), subject: idSchema };

const signed = {
  credential: z.string().max(MAX_CREDENTIAL_BYTES),
  jti: z.uuid(),
  iat: secondsSchema,
  exp: secondsSchema,
};
const byPerson = { ...signed, signer: z.literal('approver') };
/** `below`: the delegations from the signer down to the one that is revoked. */
const byAgent = { ...signed, signer: z.literal('agent'), delegations: chainSchema.optional(), below: chainSchema };

export const commandClaimsSchema = z
  .union([
    z.strictObject({ ...unfreeze, ...byPerson }),
    z.strictObject({ ...resolve, ...byPerson }),
    z.strictObject({ ...recover, ...byPerson }),
    z.strictObject({ ...revoke, ...byPerson }),
    z.strictObject({ ...revoke, ...byAgent }),
    z.strictObject({ ...enrolPasskey, ...byPerson }),
    z.strictObject({ ...retirePasskey, ...byPerson }),
    z.strictObject({ ...createStandingApproval, ...byPerson }),
    z.strictObject({ ...withdrawStandingApproval, ...byPerson }),
    z.strictObject({ ...delegateRole, ...byPerson }),
    z.strictObject({ ...endRoleDelegation, ...byPerson }),
    z.strictObject({ ...promotePolicy, ...byPerson }),
    z.strictObject({ ...rollBackPolicy, ...byPerson }),
    z.strictObject({ ...shadowPolicy, ...byPerson }),
    z.strictObject({ ...retirePolicy, ...byPerson }),
    z.strictObject({ ...acceptPins, ...byPerson }),
    z.strictObject({ ...sendCanary, ...byPerson }),
    z.strictObject({ ...acknowledgeAlerts, ...byPerson }),
  ])
  .refine((claims) => claims.kind !== 'delegate_role' || endsLater(claims), { path: ['until'] })
  .refine(({ iat, exp }) => exp > iat && exp - iat <= MAX_TTL_SECONDS, { path: ['exp'] });

const signingOptions = {
  ttlSeconds: z.number().int().min(1).max(MAX_TTL_SECONDS).default(DEFAULT_TTL_SECONDS),
  jti: z.uuid().optional(),
};
export const commandOptionsSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({ ...unfreeze, ...signingOptions }),
    z.strictObject({ ...resolve, ...signingOptions }),
    z.strictObject({ ...recover, ...signingOptions }),
    z.strictObject({ ...revoke, ...signingOptions, delegations: chainSchema.optional() }),
    z.strictObject({ ...enrolPasskey, ...signingOptions }),
    z.strictObject({ ...retirePasskey, ...signingOptions }),
    z.strictObject({ ...createStandingApproval, ...signingOptions }),
    z.strictObject({ ...withdrawStandingApproval, ...signingOptions }),
    z.strictObject({ ...delegateRole, ...signingOptions }),
    z.strictObject({ ...endRoleDelegation, ...signingOptions }),
    z.strictObject({ ...promotePolicy, ...signingOptions }),
    z.strictObject({ ...rollBackPolicy, ...signingOptions }),
    z.strictObject({ ...shadowPolicy, ...signingOptions }),
    z.strictObject({ ...retirePolicy, ...signingOptions }),
    z.strictObject({ ...acceptPins, ...signingOptions }),
    z.strictObject({ ...sendCanary, ...signingOptions }),
    z.strictObject({ ...acknowledgeAlerts, ...signingOptions }),
  ])
  .refine((options) => options.kind !== 'delegate_role' || endsLater(options), { path: ['until'] });

function endsLater({ from, until }: { readonly from: string; readonly until: string }): boolean {
  return Date.parse(from) < Date.parse(until);
}

interface Common {
  /** That of the signer. */
  readonly tenant: string;
  /** Why, or how one knows: 1 to 2000 characters, no control characters but tab and line feed. */
  readonly reason: string;
}

interface PolicyChangeCommand {
  /** Digest of the policy. */
  readonly subject: Digest;
  /** Digest of the policy that was active when it was signed; absent where none was. */
  readonly replaces?: Digest | undefined;
}

/** What may be said. */
export type Command = Common &
  (
    | { readonly kind: 'unfreeze'; /** Number of the freeze. */ readonly subject: string }
    | {
        readonly kind: 'resolve';
        /** The action's id. */ readonly subject: string;
        readonly verdict: Resolution['verdict'];
      }
    | {
        readonly kind: 'recover';
        /** Id of the action that could not be undone. */ readonly subject: string;
        /** To try again, or to leave it at that. */
        readonly verdict: 'retry' | 'accept';
      }
    | { readonly kind: 'revoke'; /** `jti` of the credential or delegation. */ readonly subject: string }
    | {
        readonly kind: 'enrol_passkey';
        /** Id of the person's new passkey. */ readonly subject: string;
        /** The browser's registration as JSON text, made for `registrationChallengeOf` with this signed command's `jti`. */
        readonly response: string;
      }
    | { readonly kind: 'retire_passkey'; /** Id of the passkey. */ readonly subject: string }
    | ({
        readonly kind: 'create_standing_approval';
        /** The agent's id. */ readonly subject: string;
        /** RFC 3339 UTC. */
        readonly until: string;
      } & StandingApprovalBounds)
    | { readonly kind: 'withdraw_standing_approval'; /** Id of the standing approval. */ readonly subject: string }
    | {
        readonly kind: 'delegate_role';
        /** Who gets it: a person's id. */ readonly subject: string;
        /** Of the signer's. */
        readonly role: string;
        /** RFC 3339 UTC. */
        readonly from: string;
        /** RFC 3339 UTC. */
        readonly until: string;
      }
    | { readonly kind: 'end_role_delegation'; /** Id of the role delegation. */ readonly subject: string }
    | (PolicyChangeCommand & {
        readonly kind: 'promote_policy';
        /** Digest of the backtest's report that the person saw. */
        readonly evidence?: Digest | undefined;
      })
    | (PolicyChangeCommand & { readonly kind: 'roll_back_policy' | 'shadow_policy' | 'retire_policy' })
    | {
        readonly kind: 'accept_pins';
        /** The tool that fronts the MCP server. */ readonly subject: string;
        /** Digest of the definitions that are pinned of it (`pinsDigest`). */ readonly pins: Digest;
      }
    | {
        readonly kind: 'send_canary';
        /** The id of the action that it seems to be. */ readonly subject: string;
        readonly canary: CanaryTemplate;
      }
    | {
        readonly kind: 'acknowledge_alerts';
        /** The numbers of up to 100 alerts of the radar: `17,18`. The reason is what is noted with each. */
        readonly subject: string;
      }
  );

/** What a person orders with a signed command, and for how long it may be handed in. */
export type CommandOptions = Command & {
  /** How long it may be handed in. Seconds, default 300, at most 600. */
  readonly ttlSeconds?: number | undefined;
  /** A UUID: the one that a gateway attested, or that a passkey was made for. Default a new one. */
  readonly jti?: string | undefined;
  /** Those of the credential that is revoked (`Credential.delegations`), when an agent revokes it. People need the id alone. */
  readonly delegations?: readonly string[] | undefined;
};

/** What a gateway is asked to say for somebody: the tenant is theirs. */
export type CommandInput<S extends CommandOptions = CommandOptions> = S extends unknown ? Omit<S, 'tenant'> : never;
