/** GraphQL: the operator fixes the query, the agent gives the variables, and errors under a 200 are no success. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Json } from '../../src/action/json.js';
import type { HttpOperation } from '../../src/tools/index.js';
import { act, expectCode } from './conformance.js';
import { execute, jsonService, toolOn, type Served } from './http-support.js';

const opened: { stop?(): Promise<void>; close?(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await (one.stop?.() ?? one.close?.());
});

const CLOSE = 'mutation Close($id: ID!) { closeTicket(id: $id) { id state } }';
const TICKET = 'query Ticket($id: ID!) { ticket(id: $id) { id state } }';
const VARIABLES = {
  type: 'object',
  properties: { id: { type: 'string' } },
  required: ['id'],
  additionalProperties: false,
};

const OPERATIONS = {
  closeTicket: {
    method: 'POST',
    url: '/graphql',
    input: { body: VARIABLES },
    bodyTemplate: { query: CLOSE, variables: '{body}' },
    errors: '/errors',
    probes: {
      ticket: { get: '/graphql', body: { query: TICKET, variables: { id: '{body.id}' } }, at: '/data/ticket' },
    },
    ensures: ["post.ticket.state == 'closed'"],
    changes: ['/ticket/state'],
  },
  ticket: {
    method: 'POST',
    url: '/graphql',
    actionType: 'READ',
    input: { body: VARIABLES },
    bodyTemplate: { query: TICKET, variables: '{body}' },
    errors: '/errors',
  },
} as const satisfies Record<string, HttpOperation>;

/** A ticket that is open; `answerTo` may answer instead of closing it. */
async function desk(answerTo: (query: string) => Json | undefined = () => undefined) {
  const bodies: Json[] = [];
  let state = 'open';
  const server = await jsonService(({ body }: Served) => {
    bodies.push(body);
    const query = body?.['query'] as string;
    const instead = answerTo(query);
    if (instead !== undefined) return { body: instead };
    if (query === CLOSE) state = 'closed';
    const ticket = { id: 't1', state };
    return { body: { data: query === CLOSE ? { closeTicket: ticket } : { ticket } } };
  });
  const tool = toolOn(server.url, { operations: OPERATIONS });
  opened.push(tool, server);
  return { tool, bodies };
}

const close = { op: 'closeTicket', body: { id: 't1' } };
const refusing = (body: Json) => (query: string) => (query === CLOSE ? body : undefined);

test("the operator's query goes out with the agent's variables, and its effect is read back by a query", async () => {
  const { tool, bodies } = await desk();
  const { checks, pre, post } = await act(tool, close);
  expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  expect([pre, post]).toEqual([{ ticket: { id: 't1', state: 'open' } }, { ticket: { id: 't1', state: 'closed' } }]);
  expect(bodies).toContainEqual({ query: CLOSE, variables: { id: 't1' } });
  const other = { ...close, body: { id: 't1', query: 'mutation { dropAll }' } };
  expect(tool.input.safeParse(other).success).toBe(false);
});

describe('errors under a 200', () => {
  const errors = [{ message: 'not\nyours' }, { message: 'ask ann' }];

  test.each([[{ errors }], [{ errors, data: null }], [{ errors, data: { closeTicket: null } }]])(
    'without data mean that nothing was done: %o',
    async (body) => {
      const { tool } = await desk(refusing(body));
      const error = await expectCode(execute(tool, close), 'TOOL_FAILED');
      expect(error.message).toContain('errors: not yours; ask ann');
    },
  );

  test('with data are an effect that was made in part', async () => {
    const { tool } = await desk(refusing({ errors, data: { closeTicket: { id: 't1', state: null } } }));
    expect((await execute(tool, close)).parts).toEqual([
      { name: 'response', done: false, detail: 'it has errors: not yours; ask ann' },
    ]);
  });

  test('of a read fail it, with data or without', async () => {
    const { tool } = await desk(() => ({ errors, data: { ticket: { id: 't1' } } }));
    const error = await expectCode(execute(tool, { op: 'ticket', body: { id: 't1' } }), 'TOOL_FAILED');
    expect(error.message).toContain('ask ann');
  });

  test('of a probe are not taken for an absent object', async () => {
    const { tool } = await desk((query) => (query === TICKET ? { errors, data: { ticket: null } } : undefined));
    expect((await expectCode(act(tool, close), 'TOOL_FAILED')).message).toContain('ask ann');
  });

  test.each([[{ data: { closeTicket: null }, errors: [] }], [{ data: { closeTicket: null }, errors: null }]])(
    'are none when the list is empty: %o',
    async (body) => {
      const { tool } = await desk(refusing(body));
      expect((await execute(tool, close)).result).toMatchObject({ status: 200 });
    },
  );
});
