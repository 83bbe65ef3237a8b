/** Secrets are not shown: those of known formats nowhere, those in declared columns not to people. */
import { expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import type { ActionView } from '../../src/action/outcome.js';
import { secretsIn, strikeSecrets } from '../../src/action/secrets.js';
import { sanitize, sanitizeLines } from '../../src/presentation/sanitize.js';
import { withoutSecretColumns } from '../../src/presentation/secret-columns.js';

/** Made up here, in the published formats. They are put together so that no scanner takes this file for a leak. */
const SECRETS: readonly (readonly [name: string, secret: string])[] = [
  ['AWS access key', `AKIA${'ABCD'.repeat(4)}`],
  ['GitHub token', `ghp_${'a1B2'.repeat(9)}`],
  ['GitHub token', `github_pat_${'a1B2_'.repeat(12)}`],
  ['GitLab token', `glpat-${'a1B2c'.repeat(4)}`],
  ['Slack token', `xoxb-${'123456'.repeat(2)}-abcdef`],
  ['Stripe key', `sk_live_${'a1B2c'.repeat(2)}`],
  ['Google API key', `AIza${'a1B2_'.repeat(7)}`],
  ['npm token', `npm_${'a1B2'.repeat(9)}`],
  ['SendGrid key', `SG.${'a1'.repeat(11)}.${'a1B2c'.repeat(8)}abc`],
  ['API key', `sk-proj-${'a1B2c'.repeat(6)}`],
  ['JSON web token', `eyJ${'hbGciOiJI'.repeat(2)}.${'eyJzdWIiO'.repeat(2)}.${'c2lnbm'.repeat(2)}`],
  ['private key', `-----BEGIN RSA PRIVATE KEY-----\n${'MIIE'.repeat(20)}\n-----END RSA PRIVATE KEY-----`],
];

test.each(SECRETS)('a %s is struck out of texts, errors and lines', (name, secret) => {
  const text = `use "${secret}" here`;
  expect(secretsIn(text)).toEqual([{ index: 5, text: secret, name }]);
  const shown = [strikeSecrets(text), sanitize(text), sanitizeLines(text).join('\n')];
  const error = new CountersignError('TOOL_FAILED', `invalid input: ${text}`);
  for (const one of [...shown, error.message, JSON.stringify(error)]) {
    expect(one).toContain(`${name}, struck out`);
    expect(one).not.toContain(secret.slice(-8));
  }
});

test('the password of a URL is struck out, and the rest of it stays', () => {
  expect(strikeSecrets('postgres://clerk:s3cret!@db.internal/shop')).toBe(
    'postgres://clerk:⟨password, struck out⟩@db.internal/shop',
  );
});

test.each([
  'DELETE FROM orders WHERE id = 7 OR true',
  'sk-learn is a library',
  'https://example.com:8080/path@2',
  'a key of 40 hex digits: 356a192b7913b04c54574d18c28d46e6395428ab',
  'akia is a word',
])('what is no secret stays: %s', (text) => {
  expect(strikeSecrets(text)).toBe(text);
});

test('a statement cannot hide in what looks like a secret', () => {
  const sql = `DELETE FROM t -- sk_live_${'a'.repeat(300)} OR true; ghp_${'b'.repeat(40)}' OR '1'='1`;
  expect(sanitize(sql)).toContain('OR true');
  expect(sanitize(sql)).toContain(`' OR '1'='1`);
});

test('the values of secret columns are struck out of rows, states, differences and inputs, and nothing else is', () => {
  const row = { id: 1, token: 'hunter2', name: 'Ann' };
  const preview = {
    sample: [row],
    rehearsal: { rows: { users: { 1: { before: row, after: { ...row, token: null } } } } },
  };
  const patch = [
    { op: 'replace', path: '/users/1/token', value: 'hunter3' },
    { op: 'add', path: '/users/2', value: { ...row, id: 2 } },
    { op: 'replace', path: '/users/1/name', value: 'Bea' },
  ];
  const view = {
    actionId: 'token',
    outcome: {
      facts: { preview: { ...preview, secretColumns: ['token'] } },
      pre: { state: { users: { 1: row } } },
      delta: { patch },
      result: { assigned: [{ token: 'hunter4' }] },
    },
  } as unknown as ActionView;
  const proposal = { actionId: 'token', tool: 'db', input: { op: 'update', set: { token: 'hunter5', name: 'Bea' } } };
  const struck = withoutSecretColumns({ view, proposal });
  expect(JSON.stringify(struck)).not.toContain('hunter');
  expect(struck).toMatchObject({
    proposal: { input: { set: { name: 'Bea' } } },
    view: {
      actionId: 'token',
      outcome: {
        pre: { state: { users: { 1: { id: 1, name: 'Ann' } } } },
        delta: { patch: [{}, {}, { value: 'Bea' }] },
      },
    },
  });
  // That there is none is no secret.
  expect(JSON.stringify(struck)).toContain('"token":null');
  const open = { view: { ...view, outcome: { facts: { preview } } } as unknown as ActionView };
  expect(withoutSecretColumns(open)).toBe(open);
});
