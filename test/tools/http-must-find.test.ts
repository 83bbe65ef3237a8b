/** An operation on something that is not there is refused where the operator says so. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { HttpOperation } from '../../src/tools/index.js';
import { never } from './conformance.js';
import { OPERATIONS } from './http-payments.js';
import { openDesk, toolOn, type Desk } from './http-support.js';

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk();
});
afterAll(() => desk?.stop());

function strict(probe: object): { readonly replaceOrder: HttpOperation } {
  const declared = OPERATIONS['replaceOrder'] as HttpOperation;
  return { replaceOrder: { ...declared, probes: { order: { get: '/orders/{id}', mustFind: true, ...probe } } } };
}

async function refusalFor(id: string, operations: Readonly<Record<string, HttpOperation>>) {
  const tool = desk.tool({ operations });
  const input = tool.input.parse({ op: 'replaceOrder', path: { id }, body: { status: 'held' } });
  return (await tool.preview(input, { signal: never() })).refusal;
}

test('a probe that finds nothing refuses the operation, and names what is not there', async () => {
  const { id } = desk.payments.newOrder();
  expect(await refusalFor(id, strict({}))).toBeUndefined();
  expect(await refusalFor('999', strict({}))).toMatchObject({
    code: 'NOTHING_MATCHED',
    message: 'There is no order for replaceOrder to change; nothing was done.',
    fix: expect.any(String) as string,
  });
  expect(await refusalFor('999', strict({ mustFind: false }))).toBeUndefined();
});

test('it must not need the result, which is not there yet', () => {
  const operations = strict({ get: '/refunds/{result.body.id}' });
  expect(() => toolOn(desk.payments.url, { operations })).toThrow(/mustFind/);
});
