import { describe, expect, test } from 'vitest';
import type { OidcSettings } from '../../../src/gateway/deps.js';
import { personOf } from '../../../src/gateway/auth/login/person-claims.js';

const ANN = { sub: '7', email: 'ann@acme.example', email_verified: true, name: 'Ann', tenant: 'acme', roles: ['dba'] };

function person(claims: Record<string, unknown>, settings: Partial<OidcSettings> = {}) {
  return personOf({ ...ANN, ...claims }, { issuer: 'https://id.example', clientId: 'countersign', ...settings });
}

describe('who a provider says somebody is', () => {
  test('the verified e-mail address is the id, in lower case so that one person has one', () => {
    expect(person({ email: 'Ann@Acme.Example' })).toEqual({
      id: 'ann@acme.example',
      name: 'Ann',
      tenant: 'acme',
      roles: ['dba'],
    });
  });

  test.each([[false], [undefined], ['false'], [1], [null], ['TRUE']])(
    'an address that anybody could have typed (email_verified: %j) is nobody',
    (email_verified) => expect(() => person({ email_verified })).toThrow(/verified/),
  );

  test.each([
    ['none', undefined],
    ['a number', 7],
    ['a list', ['ann@acme.example', 'root@acme.example']],
    ['a plus, which credentials do not carry', 'ann+admin@acme.example'],
    ['a line feed', 'ann@acme.example\n'],
    ['a letter that only looks the same', 'аnn@acme.example'],
    ['too long', `${'a'.repeat(60)}@acme.example`],
    ['a path', 'ann/../root'],
    ['nothing', ''],
  ])('an id that is %s is refused and named', (_what, email) => {
    expect(() => person({ email })).toThrow(expect.objectContaining({ code: 'FORBIDDEN', field: 'claims.email' }));
  });

  test('another claim can be the id, and needs no verified address', () => {
    const settings = { claims: { id: 'preferred_username' } };
    expect(person({ preferred_username: 'ann', email_verified: false }, settings).id).toBe('ann');
    expect(() => person({}, settings)).toThrow(/preferred_username/);
  });

  test('the tenant comes from a claim, by its whole name or along dots', () => {
    expect(
      person({ 'https://acme.example/tenant': 'globex' }, { claims: { tenant: 'https://acme.example/tenant' } }).tenant,
    ).toBe('globex');
    expect(person({ org: { slug: 'initech' } }, { claims: { tenant: 'org.slug' } }).tenant).toBe('initech');
  });

  test.each([[undefined], ['*'], ['Acme'], [''], ['a/b'], [['acme']], ['a'.repeat(64)]])(
    'a tenant of %j is refused',
    (tenant) => {
      expect(() => person({ tenant })).toThrow(expect.objectContaining({ code: 'FORBIDDEN', field: 'claims.tenant' }));
    },
  );

  test("a provider of one tenant cannot claim another's people", () => {
    expect(person({ tenant: 'globex' }, { tenant: 'acme' }).tenant).toBe('acme');
  });

  test('with a map only what it names is a role, by the name that policies use', () => {
    const roles = { 'Database Admins': 'dba', 'CN=Leads,DC=acme': 'lead' };
    expect(person({ roles: ['Database Admins', 'Everybody', 'CN=Leads,DC=acme'] }, { roles }).roles).toEqual([
      'dba',
      'lead',
    ]);
    expect(person({ roles: ['dba', 'lead'] }, { roles }).roles).toEqual([]);
    expect(person({ roles: 'Database Admins' }, { roles }).roles).toEqual(['dba']);
  });

  test('a role named like a member of every object is no role of the map', () => {
    expect(person({ roles: ['constructor', '__proto__', 'toString'] }, { roles: {} }).roles).toEqual([]);
  });

  test('what no policy could name is left out, and twice is once', () => {
    expect(person({ roles: ['dba', 'a b', '', 'x'.repeat(64), 7, null, 'dba', 'lead'] }).roles).toEqual([
      'dba',
      'lead',
    ]);
  });

  test('nobody without roles has any', () => {
    expect(person({ roles: undefined }).roles).toEqual([]);
    expect(person({ roles: [] }).roles).toEqual([]);
  });

  test('more roles than a credential carries are refused, not cut', () => {
    const roles = Array.from({ length: 33 }, (_, index) => `role-${index}`);
    expect(() => person({ roles })).toThrow(/33 roles/);
    expect(person({ roles }, { roles: { 'role-32': 'dba' } }).roles).toEqual(['dba']);
  });

  test.each([[7], [{ dba: true }], [true]])('roles that are no list (%j) are refused', (roles) => {
    expect(() => person({ roles })).toThrow(expect.objectContaining({ field: 'claims.roles' }));
  });

  test('a name cannot turn around what stands beside it, and one that is nothing is the id', () => {
    expect(person({ name: 'Ann\u202E toor\u0007\n' }).name).toBe('Ann toor');
    expect(person({ name: '\u202E \u200F' }).name).toBe('ann@acme.example');
    expect(person({ name: 7 }).name).toBe('ann@acme.example');
    expect(person({ name: 'A'.repeat(500) }).name).toHaveLength(100);
  });
});
