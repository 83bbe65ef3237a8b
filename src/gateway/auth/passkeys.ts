/**
 * The passkeys of whoever is logged in: what a browser needs to make one or to assert with one, and the signed commands that enrol and
 * retire them. A worker verifies and keeps them; nothing here does.
 */
import { createHash, randomUUID } from 'node:crypto';
import { generateAuthenticationOptions, generateRegistrationOptions } from '@simplewebauthn/server';
import { Hono, type Context } from 'hono';
import { z } from 'zod';
import { CountersignError } from '../../action/errors.js';
import { passkeyNotFound } from '../../action/errors-not-found.js';
import { VERDICTS } from '../../action/outcome.js';
import type { StoredPasskey } from '../../action/passkey.js';
import { challengeOf, registrationChallengeOf } from '../../trust/passkeys/challenges.js';
import { credentialIdSchema } from '../../trust/passkeys/response.js';
import { PASSKEY_ALGORITHMS } from '../../trust/passkeys/settings.js';
import { actionIdSchema, digestSchema } from '../../trust/claim-schemas.js';
import type { GatewayDependencies, GatewaySettings } from '../deps.js';
import type { GatewayEnv } from './identity.js';
import type { PersonPrincipal } from './principal.js';
import { assertRecentLogin } from './recent-login.js';
import type { Sessions } from './sessions.js';

/** How long the person has for the browser's dialogue. */
const CEREMONY_SECONDS = 300;

/** What counts of a RegistrationResponseJSON: browsers add what the rest says already. The worker verifies it. */
const registrationSchema = z.object({
  id: credentialIdSchema,
  rawId: credentialIdSchema,
  type: z.literal('public-key'),
  response: z.object({
    clientDataJSON: z.string().max(4096),
    attestationObject: z.string().max(8192),
    transports: z.array(z.string().max(32)).max(8).optional(),
  }),
});

const assertionSchema = z.strictObject({
  actionId: actionIdSchema,
  shownDigest: digestSchema,
  policyDigest: digestSchema,
  verdict: z.enum(VERDICTS),
});

/**
 * All by POST, JSON, with the session's CSRF token; errors are problem+json.
 *
 * - `/me/passkeys/options` answers PublicKeyCredentialCreationOptionsJSON.
 * - `/me/passkeys` takes the browser's RegistrationResponseJSON and answers 201 `{id}`.
 * - `/me/passkeys/{id}/retire` answers `{id}`; a form is led back to `/me`.
 * - `/passkeys/assertion-options` takes `{actionId, shownDigest, policyDigest, verdict}` and answers PublicKeyCredentialRequestOptionsJSON.
 */
export function passkeyRoutes(deps: GatewayDependencies, sessions: Sessions): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>();
  app.post('/me/passkeys/options', (c) => offerEnrolment(deps, sessions, c));
  app.post('/me/passkeys', (c) => enrol(deps, sessions, c));
  app.post('/me/passkeys/:id/retire', (c) => retire(deps, c, c.req.param('id')));
  app.post('/passkeys/assertion-options', (c) => offerAssertion(deps, c));
  return app;
}

async function offerEnrolment(deps: GatewayDependencies, sessions: Sessions, c: Context): Promise<Response> {
  const person = await deps.identity.person(c);
  const { rpId } = configured(deps.settings);
  assertRecentLogin(person, 'enrol a passkey');
  const enrolled = await inUse(deps, person);
  const statementId = randomUUID();
  const options = await generateRegistrationOptions({
    rpName: 'Countersign',
    rpID: rpId,
    userName: person.id,
    userDisplayName: person.name,
    // The same for the same person, so that an authenticator keeps one passkey of theirs and not several.
    userID: new Uint8Array(createHash('sha256').update(`${person.tenant}/${person.id}`).digest()),
    challenge: bytesOf(registrationChallengeOf({ tenant: person.tenant, person: person.id, nonce: statementId })),
    timeout: CEREMONY_SECONDS * 1000,
    attestationType: 'none',
    excludeCredentials: enrolled.map(allowed),
    authenticatorSelection: { residentKey: 'preferred', userVerification: 'required' },
    supportedAlgorithmIDs: [...PASSKEY_ALGORITHMS],
  });
  await sessions.beginEnrolment(c, statementId, CEREMONY_SECONDS);
  return answer(c, options);
}

async function enrol(deps: GatewayDependencies, sessions: Sessions, c: Context): Promise<Response> {
  const person = await deps.identity.person(c);
  configured(deps.settings);
  assertRecentLogin(person, 'enrol a passkey');
  const response = await readBody(c, registrationSchema);
  const jti = await sessions.takeEnrolment(c);
  if (jti === undefined) {
    throw new CountersignError(
      'PASSKEY_INVALID',
      'No passkey was asked for in this session, or not in the last five minutes.',
      {
        field: 'passkey',
        expected: 'a passkey made for what this session asked for, once',
        fix: 'Begin again on your own page.',
      },
    );
  }
  // What was made for another session or person does not answer this signed command's id: the worker sees that.
  await deps.decisions.state(person, {
    kind: 'enrol_passkey',
    subject: response.id,
    response: JSON.stringify(response),
    jti,
    reason: `${person.id} enrols a passkey`,
  });
  return answer(c, { id: response.id }, 201);
}

async function retire(deps: GatewayDependencies, c: Context, id: string): Promise<Response> {
  const person = await deps.identity.person(c);
  if (!(await inUse(deps, person)).some((passkey) => passkey.credentialId === id)) {
    throw passkeyNotFound('id');
  }
  await deps.decisions.state(person, { kind: 'retire_passkey', subject: id, reason: `${person.id} retires a passkey` });
  return isForm(c) ? c.redirect('/me', 303) : answer(c, { id });
}

async function offerAssertion(deps: GatewayDependencies, c: Context): Promise<Response> {
  const person = await deps.identity.person(c);
  const { rpId } = configured(deps.settings);
  const asked = await readBody(c, assertionSchema);
  const enrolled = await inUse(deps, person);
  if (enrolled.length === 0) {
    throw new CountersignError('PASSKEY_REQUIRED', 'You have no passkey yet.', {
      field: 'passkey',
      expected: 'a passkey that you enrolled',
      fix: 'Enrol one on your own page (/me), and decide then.',
    });
  }
  const challenge = challengeOf({ tenant: person.tenant, ...asked });
  return answer(
    c,
    await generateAuthenticationOptions({
      rpID: rpId,
      challenge: bytesOf(challenge),
      allowCredentials: enrolled.map(allowed),
      userVerification: 'required',
      timeout: CEREMONY_SECONDS * 1000,
    }),
  );
}

async function inUse(
  { ledger }: GatewayDependencies,
  { tenant, id }: PersonPrincipal,
): Promise<readonly StoredPasskey[]> {
  return (await ledger.passkeys.list(tenant, id)).filter(({ retired }) => retired === undefined);
}

function allowed({ credentialId, transports }: StoredPasskey): { id: string; transports: string[] } {
  return { id: credentialId, transports: [...transports] };
}

function configured({ passkeys }: GatewaySettings): { readonly rpId: string } {
  if (passkeys !== undefined) return passkeys;
  throw new CountersignError('NOT_FOUND', 'Passkeys are not set up at this gateway.', {
    field: 'passkeys',
    fix: 'The operator sets `passkeys` for the gateway and the workers.',
  });
}

/** As bytes: the library would encode a text once more. */
function bytesOf(challenge: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(challenge, 'base64url'));
}

async function readBody<S extends z.ZodType>(c: Context, schema: S): Promise<z.infer<S>> {
  const parsed = schema.safeParse(await c.req.json().catch(() => undefined));
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues[0]?.path.join('.');
  throw new CountersignError('INVALID_INPUT', 'The body of the request is not what is expected here.', {
    field: where === undefined || where === '' ? 'body' : `body.${where}`,
    expected: 'JSON of the documented shape',
  });
}

function isForm(c: Context): boolean {
  return c.req.header('content-type')?.startsWith('application/x-www-form-urlencoded') ?? false;
}

function answer(c: Context, body: object, status: 200 | 201 = 200): Response {
  c.header('cache-control', 'no-store');
  return c.json(body, status);
}
