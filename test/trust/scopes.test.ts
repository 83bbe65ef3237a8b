/** Scopes: what a pattern covers, and that "narrower" never lets anything through that the wider one does not cover. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matchesWildcard, scopeCovers, scopeSchema, scopesNarrower } from '../../src/trust/scopes.js';

/** Few letters, so that patterns and names meet often. */
const letters = (...more: string[]) => fc.constantFrom('a', 'b', ...more);
const pattern = fc.string({ unit: letters('*'), minLength: 1, maxLength: 7 });
const name = fc.string({ unit: letters(), minLength: 0, maxLength: 9 });
const scope = fc.oneof(
  pattern,
  fc.tuple(pattern, pattern).map(([tool, operation]) => `${tool}:${operation}`),
);

/** The same by another way: a table over all prefixes, as in textbooks. */
function matchesByTable(pattern: string, text: string): boolean {
  let row = Array.from({ length: text.length + 1 }, (_, i) => i === 0);
  for (const character of pattern) {
    const above = row;
    row = Array.from(above, () => false);
    for (let i = 0; i <= text.length; i++) {
      row[i] =
        character === '*'
          ? above[i] === true || (i > 0 && row[i - 1] === true)
          : i > 0 && above[i - 1] === true && text[i - 1] === character;
    }
  }
  return row[text.length] === true;
}

describe('a wildcard', () => {
  test.each([
    ['*', '', true],
    ['*', 'anything', true],
    ['crm', 'crm', true],
    ['crm', 'CRM', false],
    ['crm', 'crm2', false],
    ['get_*', 'get_', true],
    ['get_*', 'forget_x', false],
    ['*_get', 'x_get', true],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['*ab*ab*', 'ab', false],
    ['a*b*c', 'a1b2b3c', true],
    ['.*', 'x', false],
    ['', '', true],
    ['', 'a', false],
  ])('%j on %j: %s', (pattern, text, fits) => {
    expect(matchesWildcard(pattern, text)).toBe(fits);
  });

  test('fits what it should by any other way of matching', () => {
    fc.assert(
      fc.property(pattern, fc.string({ unit: letters('*'), maxLength: 9 }), (pattern, text) => {
        expect(matchesWildcard(pattern, text)).toBe(matchesByTable(pattern, text));
      }),
      { numRuns: 5000 },
    );
  });

  test('made to be slow is not', () => {
    const started = performance.now();
    for (let i = 0; i < 100; i++) {
      expect(matchesWildcard(`${'*a'.repeat(2000)}*b`, 'a'.repeat(20_000))).toBe(false);
      expect(matchesWildcard(`${'a*'.repeat(2000)}b*c`, 'a'.repeat(20_000))).toBe(false);
    }
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

describe('scopes', () => {
  test.each([
    [['crm'], 'crm', 'anything', true],
    [['crm:*'], 'crm', 'anything', true],
    [['*'], 'crm', 'anything', true],
    [['crm'], 'crm2', 'get', false],
    [['crm:get'], 'crm', 'get', true],
    [['crm:get'], 'crm', 'get_all', false],
    [['crm:get_*'], 'crm', 'get_customer', true],
    [['crm:get_*'], 'crm', 'delete_customer', false],
    [['crm:get_*'], 'erp', 'get_customer', false],
    [['*:select'], 'shop-db', 'select', true],
    [['*:select'], 'shop-db', 'sql.delete', false],
    [['shop-*:sql.*'], 'shop-db', 'sql.delete', true],
    [['erp', 'crm:get'], 'crm', 'get', true],
    [[], 'crm', 'get', false],
    // A tool's pattern never reaches into the operation, nor the other way.
    [['crm*get'], 'crm', 'get', false],
    [['crm:a'], 'crm', 'x:a', false],
    [['crm:x:*'], 'crm', 'x:a', true],
  ])('%j on %s, %s: %s', (scopes, tool, operation, covered) => {
    expect(scopeCovers(scopes, tool, operation)).toBe(covered);
  });

  test('name a tool when they cover any operation of it', () => {
    expect(scopeCovers(['crm:get'], 'crm')).toBe(true);
    expect(scopeCovers(['crm:get'], 'erp')).toBe(false);
  });

  test.each(['crm', '*', 'crm:get_*', 'shop-db:sql.delete', '*:GET/users/{id}', 'a'.repeat(63), 'crm:a:b'])(
    '%s may be issued',
    (scope) => {
      expect(scopeSchema.safeParse(scope).success).toBe(true);
    },
  );

  test.each([
    '',
    ':',
    ':get',
    'crm:',
    'crm get',
    'crm\n',
    'crm:get\u0000',
    'c\u0440m',
    'crm:\u202eteg',
    'crm,erp',
    'a/b',
  ])('%j may not', (scope) => {
    expect(scopeSchema.safeParse(scope).success).toBe(false);
  });
});

describe('narrower', () => {
  test.each([
    [['crm:get_customer'], ['crm:get_*'], true],
    [['crm:get_*'], ['crm'], true],
    [['crm'], ['crm:*'], true],
    [['crm:*'], ['crm'], true],
    [['crm'], ['*'], true],
    [['crm:get_*', 'erp'], ['erp', 'crm'], true],
    [['*'], ['*'], true],
    [['*'], ['crm'], false],
    [['crm'], ['crm:get_*'], false],
    [['crm:*'], ['crm:get_*'], false],
    [['crm:get*'], ['crm:get_*'], false],
    [['crm:get_*'], ['crm:get_*_by_id'], false],
    [['cr*'], ['crm'], false],
    [['*:get'], ['crm:get'], false],
    [['crm:get', 'crm:put'], ['crm:get'], false],
  ])('%j within %j: %s', (child, parent, narrower) => {
    expect(scopesNarrower(child, parent)).toBe(narrower);
  });

  test('means that whatever the child covers, the parent covers', () => {
    let within = 0;
    fc.assert(
      fc.property(
        fc.array(scope, { minLength: 1, maxLength: 3 }),
        fc.array(scope, { minLength: 1, maxLength: 3 }),
        fc.array(fc.tuple(name, name), { minLength: 20, maxLength: 20 }),
        (child, parent, uses) => {
          if (!scopesNarrower(child, parent)) return;
          within++;
          const beyond = uses.filter((use) => scopeCovers(child, ...use) && !scopeCovers(parent, ...use));
          expect({ child, parent, beyond }).toEqual({ child, parent, beyond: [] });
        },
      ),
      { numRuns: 5000 },
    );
    expect(within).toBeGreaterThan(100);
  });

  test('of one scope in one other misses nothing: where it says no, there is a use that only the child covers', () => {
    // A letter that stands in no pattern shows what a star lets through.
    const witness = (part: string) => part.replaceAll('*', 'z');
    fc.assert(
      fc.property(scope, scope, (child, parent) => {
        const [tool = '', operation = '*'] = child.split(':');
        const covered = scopeCovers([parent], witness(tool), witness(operation));
        expect(scopesNarrower([child], [parent])).toBe(covered);
      }),
      { numRuns: 5000 },
    );
  });
});
