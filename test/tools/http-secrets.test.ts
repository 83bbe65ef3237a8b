import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Secrets } from '../../src/http/secrets.js';
import type { HttpOptions } from '../../src/tools/index.js';
import { act, expectCode, failureOf, never } from './conformance.js';
import { execute, openDesk, toolOn, type Desk } from './http-support.js';

const SECRET = 'tok/en+7 "Zy8q';
const FORMS = [
  SECRET,
  encodeURIComponent(SECRET),
  Buffer.from(SECRET).toString('base64'),
  JSON.stringify(SECRET).slice(1, -1),
];

let desk: Desk;
let folder: string;
beforeEach(async () => {
  process.env['HTTP_TEST_TOKEN'] = SECRET;
  desk = await openDesk();
  folder = await mkdtemp(path.join(tmpdir(), 'countersign-secret-'));
});
afterEach(async () => {
  await desk.stop();
  await rm(folder, { recursive: true });
});

const headers: HttpOptions['headers'] = { authorization: { secret: 'env:HTTP_TEST_TOKEN', prefix: 'Bearer ' } };
const refund = (id = desk.payments.newOrder().id) => ({ op: 'refund', path: { id }, body: { amount: 5 } });

/** The forms of the secret that occur in the values. */
function leaked(...values: unknown[]): readonly string[] {
  const text = values
    .map((value) =>
      value instanceof Error
        ? `${value.message} ${value.stack} ${JSON.stringify(value)} ${String(value.cause)}`
        : JSON.stringify(value),
    )
    .join('\n');
  return FORMS.filter((form) => text.includes(form));
}

describe('a secret', () => {
  test('reaches the service', async () => {
    await execute(desk.tool({ headers }), refund());
    expect(new Set(desk.payments.seen.map(({ headers }) => headers.authorization))).toEqual(
      new Set([`Bearer ${SECRET}`]),
    );
  });

  test('from a file is read at each use, so that a new one takes effect', async () => {
    const file = path.join(folder, 'token');
    await writeFile(file, 'first-token\n');
    const tool = desk.tool({ headers: { authorization: { secret: `file:${file}`, prefix: 'Bearer ' } } });
    const input = { op: 'getOrder', path: { id: desk.payments.newOrder().id } };
    await execute(tool, input);
    await writeFile(file, 'second-token\n');
    await execute(tool, input);
    expect(desk.payments.seen.map((one) => one.headers.authorization)).toEqual([
      'Bearer first-token',
      'Bearer second-token',
    ]);
    await rm(file);
    const error = await expectCode(execute(tool, input), 'CONFIG_INVALID');
    expect(error.message).toContain(file);
  });

  test.each(FORMS)('that the service echoes is in no state, result, preview or check: %s', async (form) => {
    desk.payments.before = ({ method, url }, _request, response) => {
      if (method !== 'GET' || !url.startsWith('/orders/')) return false;
      const body = { id: '1', status: form, [form]: [`x ${form} y`], refunded: desk.payments.journal.length * 5 };
      response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
      return true;
    };
    const tool = desk.tool({ headers });
    const performed = await act(tool, refund());
    const looked = await execute(tool, { op: 'getOrder', path: { id: '1' } });
    expect(JSON.stringify(performed.pre)).toContain('[secret]');
    expect(
      leaked(performed.preview, performed.pre, performed.post, performed.execution, performed.checks, looked),
    ).toEqual([]);
  });

  test.each([400, 401, 409, 422, 500, 503])(
    'that the service echoes in a refusal (%i) is in no error',
    async (status) => {
      desk.payments.before = ({ method }, _request, response) => {
        if (method !== 'POST') return false;
        const detail = `bad credentials: ${FORMS.join(' ')} ${'x'.repeat(250)} ${SECRET}`;
        response
          .writeHead(status, { 'content-type': 'application/problem+json' })
          .end(JSON.stringify({ title: SECRET, detail }));
        return true;
      };
      const error = await failureOf(execute(desk.tool({ headers, limits: { totalMs: 400 } }), refund()));
      expect(leaked(error)).toEqual([]);
    },
  );

  test('in the input of an agent is removed from what people are shown', async () => {
    const tool = desk.tool({ headers });
    await execute(tool, refund());
    const input = tool.input.parse({
      op: 'replaceOrder',
      path: { id: desk.payments.newOrder().id },
      body: { status: SECRET },
    });
    expect(leaked((await tool.preview(input, { signal: never() })).summary)).toEqual([]);
  });

  test('that is missing is named by its reference', () => {
    expect(() => desk.tool({ headers: { authorization: { secret: 'env:HTTP_TEST_NO_SUCH' } } })).toThrow(
      /env:HTTP_TEST_NO_SUCH/,
    );
  });

  test.each(['authorization', 'Cookie', 'X-Api-Key', 'x-vault-token', 'proxy-authorization', 'client_secret'])(
    'written into the config as the header %s is refused',
    (name) => {
      expect(() => toolOn('https://payments.example', { headers: { [name]: SECRET } })).toThrow(/by reference/);
    },
  );

  test.each(['HTTP_TEST_TOKEN', 'env:', 'vault:x', ''])(
    'by the reference %j is refused without being quoted',
    (secret) => {
      expect(() => toolOn('https://payments.example', { headers: { 'x-a': { secret: secret as 'env:x' } } })).toThrow(
        /by reference only/,
      );
    },
  );

  test('with a line break in it cannot split a header', async () => {
    process.env['HTTP_TEST_SPLIT'] = 'good\r\nx-admin: 1';
    const tool = desk.tool({ headers: { authorization: { secret: 'env:HTTP_TEST_SPLIT' } } });
    const error = await expectCode(execute(tool, refund(), { preDigest: 'sha256:0' }), 'CONFIG_INVALID');
    expect(error.message).not.toContain('x-admin');
    expect(desk.payments.seen).toEqual([]);
  });
});

test('when one secret contains another, both are removed completely', () => {
  const secrets = new Secrets('The tool payments');
  secrets.remember('abcd');
  secrets.remember('abcdefgh');
  expect(secrets.strike('x abcdefgh abcd')).toBe('x [secret] [secret]');
});
