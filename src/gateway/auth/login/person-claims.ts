/** Who an identity provider says somebody is, as far as it fits: else the login is refused. */
import { CountersignError } from '../../../action/errors.js';
import { NAME_PATTERN, TENANT_PATTERN } from '../../../action/proposal.js';
import { PRINCIPAL_PATTERN } from '../../../trust/claim-schemas.js';
import { claimAt, namesIn } from '../token-claims.js';
import type { OidcSettings } from '../../deps.js';

export type Claims = Readonly<Record<string, unknown>>;

interface ClaimedPerson {
  readonly id: string;
  readonly name: string;
  readonly tenant: string;
  readonly roles: readonly string[];
}

/** As many as a credential carries. */
const MAX_ROLES = 32;
const MAX_NAME = 100;

/** What nobody's name needs, and what could make one look like another's. */
const NOT_IN_NAMES = /[\p{Cc}\p{Cs}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069\p{Zl}\p{Zp}]/gu;

/** Where the claims say what. */
export function claimNames({ claims = {}, tenant }: OidcSettings): {
  id: string;
  tenant: string | undefined;
  roles: string;
  name: string;
} {
  return {
    id: claims.id ?? 'email',
    // The claim of a provider of one tenant is not even read.
    tenant: tenant === undefined ? (claims.tenant ?? 'tenant') : undefined,
    roles: claims.roles ?? 'roles',
    name: claims.name ?? 'name',
  };
}

/** @throws CountersignError FORBIDDEN, with what the operator can do */
export function personOf(claims: Claims, settings: OidcSettings): ClaimedPerson {
  const names = claimNames(settings);
  const id = idOf(claims, names.id);
  const name = claimAt(claims, names.name);
  const shown =
    typeof name === 'string' ? name.replaceAll(NOT_IN_NAMES, '').trim().slice(0, MAX_NAME).toWellFormed() : '';
  return {
    id,
    name: shown === '' ? id : shown,
    tenant: settings.tenant ?? tenantOf(claims, names.tenant ?? 'tenant'),
    roles: rolesOf(claimAt(claims, names.roles), names.roles, settings.roles),
  };
}

function idOf(claims: Claims, path: string): string {
  const value = claimAt(claims, path);
  if (typeof value !== 'string' || !PRINCIPAL_PATTERN.test(value)) {
    throw refused(`The provider's claim "${path}" is not an id that can be used here.`, path, {
      expected: '1 to 63 letters, digits, ".", "_", "@" or "-", a letter or digit first',
      fix: 'Have the provider send such a claim, or name another one in `oidc.claims.id`.',
    });
  }
  if (path !== 'email') return value;
  // Whoever may write any address into their profile could else be anybody. Some providers send the text.
  const verified = claims['email_verified'];
  if (verified !== true && verified !== 'true') {
    throw refused('The provider does not say that the e-mail address was verified.', 'email_verified', {
      expected: 'true',
      fix: 'Verify the address at the provider, or name another claim in `oidc.claims.id`.',
    });
  }
  // Directories rarely tell Ann@ from ann@, and a passkey must not be lost over it.
  return value.toLowerCase();
}

function tenantOf(claims: Claims, path: string): string {
  const value = claimAt(claims, path);
  if (typeof value === 'string' && TENANT_PATTERN.test(value)) return value;
  throw refused(`The provider's claim "${path}" does not name a tenant.`, path, {
    expected: '1 to 63 of a-z, 0-9, "_" and "-"',
    fix: 'Have the provider send it, name another claim in `oidc.claims.tenant`, or set `oidc.tenant`.',
  });
}

/** Names that no policy could ask for are left out: directories are full of them. */
function rolesOf(value: unknown, path: string, map: OidcSettings['roles']): readonly string[] {
  const given = map === undefined ? namesIn(value) : typeof value === 'string' ? [value] : (value ?? []);
  if (!Array.isArray(given)) {
    throw refused(`The provider's claim "${path}" is not a list of roles.`, path, { expected: 'a list of texts' });
  }
  const named = given
    .filter((role): role is string => typeof role === 'string')
    .map((role) => (map === undefined ? role : Object.hasOwn(map, role) ? map[role] : undefined))
    .filter((role): role is string => role !== undefined && NAME_PATTERN.test(role));
  const roles = [...new Set(named)].sort();
  if (roles.length <= MAX_ROLES) return roles;
  throw refused(`The provider gives ${roles.length} roles.`, path, {
    expected: `at most ${MAX_ROLES}`,
    fix: 'Name those that policies ask for in `oidc.roles`: others are left out.',
  });
}

function refused(message: string, claim: string, how: { expected: string; fix?: string }): CountersignError {
  return new CountersignError('FORBIDDEN', message, { field: `claims.${claim}`, ...how });
}
