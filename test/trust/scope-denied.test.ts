/** Where scopes bite: a proposal is refused by what its input really does, whatever its author calls it. */
import { describe, expect, test } from 'vitest';
import { readAuthorizedInput } from '../../activities/authenticate.js';
import type { JsonObject } from '../../src/action/json.js';
import { postgres } from '../../src/tools/index.js';
import { digestOf, thrown } from './support.js';

// Never connected to: what an input does is read from the input alone.
const tool = postgres({ name: 'shop-db', environment: 'production', url: 'postgres://nobody@127.0.0.1:1/shop' });
const tools = new Map([[tool.name, tool]]);
const SELECT = { op: 'select', table: 'orders' };
const DELETE = { op: 'delete', table: 'orders', where: { id: 1 } };
const RAW = { op: 'sql', sql: 'DELETE FROM orders WHERE id = 1' };

function propose(scopes: readonly string[], input: JsonObject, claims: Record<string, string> = {}) {
  return readAuthorizedInput(
    {
      proposal: { actionId: 'a1', tool: 'shop-db', input, claims },
      at: new Date(),
      digest: digestOf('proposal'),
      agent: { id: 'bot', tenant: 'acme', roles: [], scopes },
      authority: { credentials: ['jti'], caps: [], above: [] },
    },
    { tools },
  );
}

describe('a scope for one operation', () => {
  test.each([
    ['*', SELECT],
    ['shop-db', DELETE],
    ['shop-db:select', SELECT],
    ['shop-db:de*', DELETE],
    ['*:sql.*', RAW],
  ])('%s lets through what it covers: %j', (scope, input) => {
    expect(propose(['crm', scope], input).operation).toBe(tool.operation(tool.input.parse(input)));
  });

  test.each([
    ['shop-db:select', DELETE, 'delete'],
    ['shop-db:select', RAW, 'sql.delete'],
    // The same effect by another operation is another operation.
    ['shop-db:delete', RAW, 'sql.delete'],
    ['shop-db:sql.select', RAW, 'sql.delete'],
    ['*:select', DELETE, 'delete'],
  ])('%s keeps out %j, and the refusal names the operation', (scope, input, operation) => {
    const error = thrown(() => propose([scope], input, { operation: 'select' }), 'SCOPE_DENIED');
    expect(error.message).toContain(`"${operation}"`);
    expect(error.expected).toContain(scope);
  });

  test('whoever has none for the tool is not told what its input should be', () => {
    const error = thrown(() => propose(['crm', 'shop-db2:select'], { op: 'nonsense' }), 'SCOPE_DENIED');
    expect(error.field).toBe('proposal.tool');
    thrown(() => propose(['shop-db:select'], { op: 'nonsense' }), 'INVALID_INPUT');
  });
});
