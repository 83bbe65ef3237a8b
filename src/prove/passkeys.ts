/** People's passkeys in the scratch world: enrolled by their own signed commands, of authenticators that are software. */
import { randomUUID } from 'node:crypto';
import type { AuthenticationResponseJSON } from '@simplewebauthn/server';
import type { Verdict } from '../action/outcome.js';
import type { PendingAction } from '../client/countersign.js';
import { challengeOf, registrationChallengeOf, type AssertedDecision } from '../trust/passkeys/challenges.js';
import { peekCredential, type ApprovalAssertion, type Credential } from '../trust/index.js';
import { SoftwareAuthenticator, type AssertOptions } from './scratch/authenticator.js';
import type { World } from './world.js';

/** A person's own, which is enrolled. */
export interface Enrolled {
  readonly id: string;
  readonly authenticator: SoftwareAuthenticator;
}

/** What an assertion is to be that is not good: signed for something else, or on another page. */
interface Otherwise {
  readonly decision?: Partial<AssertedDecision>;
  readonly ceremony?: Partial<AssertOptions>;
}

/** Where the config says that passkeys are used. Undefined where it says nothing: then no worker takes one. */
export function placeOf({ parts }: World): { readonly rpId: string; readonly origin: string } | undefined {
  const { passkeys } = parts.config;
  return passkeys && { rpId: passkeys.rpId, origin: passkeys.origins[0] ?? '' };
}

const enrolled = new WeakMap<World, Map<string, Promise<Enrolled>>>();

/** The person's passkey: one for all that they decide. @throws CountersignError PASSKEY_INVALID where the config takes none */
export function passkeyOf(world: World, person: Credential): Promise<Enrolled> {
  const { id } = peekCredential(person);
  const known = enrolled.get(world) ?? new Map<string, Promise<Enrolled>>();
  enrolled.set(world, known);
  const passkey = known.get(id) ?? enrol(world, person);
  known.set(id, passkey);
  return passkey;
}

/** A new passkey. */
export async function enrol(world: World, person: Credential): Promise<Enrolled> {
  const { tenant } = world.parts;
  const { rpId, origin } = placeOf(world) ?? { rpId: 'localhost', origin: 'http://localhost' };
  const jti = randomUUID();
  const challenge = registrationChallengeOf({ tenant, person: peekCredential(person).id, nonce: jti });
  const authenticator = usedBefore();
  const made = authenticator.register({ challenge, rpId, origin });
  const response = JSON.stringify(made);
  await world.command(person, { kind: 'enrol_passkey', tenant, subject: made.id, response, jti, reason: 'prove' });
  return { id: made.id, authenticator };
}

/** How often an authenticator was used when it is enrolled, so that its counter can go back behind that. */
export const USED_BEFORE = 3;

function usedBefore(): SoftwareAuthenticator {
  const authenticator = new SoftwareAuthenticator();
  const elsewhere = { challenge: '', rpId: 'elsewhere.invalid', origin: 'https://elsewhere.invalid' };
  authenticator.register(elsewhere);
  for (let nth = 0; nth < USED_BEFORE; nth++) authenticator.assert(elsewhere);
  return authenticator;
}

/** The passkey's word on what the action shows now. */
export async function assertionOn(
  world: World,
  action: PendingAction,
  { authenticator, id }: Enrolled,
  { decision, ceremony }: Otherwise = {},
  verdict: Verdict = 'approve',
): Promise<ApprovalAssertion> {
  const { actionId, tenant } = action;
  const { pending } = await world.client.view(actionId, tenant);
  const { shownDigest, decision: decided } = pending ?? action.pending;
  const { policyDigest } = decided;
  const challenge = challengeOf({ tenant, actionId, shownDigest, policyDigest, verdict, ...decision });
  const place = placeOf(world) ?? { rpId: 'localhost', origin: 'http://localhost' };
  const response: AuthenticationResponseJSON = authenticator.assert({
    challenge,
    ...place,
    credentialId: id,
    ...ceremony,
  });
  return { policyDigest, response };
}
