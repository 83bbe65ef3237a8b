/** Services that do later what they accept now: the job is followed, and nothing but the probes makes a success of it. */
import { afterEach, describe, expect, test } from 'vitest';
import type { HttpOperation } from '../../src/tools/index.js';
import { Sends } from '../../src/tools/sends.js';
import { act, expectCode } from './conformance.js';
import { execute, jsonService, toolOn, type JsonService, type Response, type Served } from './http-support.js';

const opened: { stop?(): Promise<void>; close?(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await (one.stop?.() ?? one.close?.());
});

/** A service that exports reports by jobs. `job`: what the job's URL answers, the n-th time. */
async function exporting(job: (turn: number, service: { exported: number }) => Response, accepted: Response = {}) {
  const service = { exported: 0, turns: 0 };
  const server = await jsonService(({ method, url }: Served) => {
    if (method === 'POST') return { status: 202, body: { id: 'j1' }, ...accepted };
    if (url.pathname.startsWith('/jobs/')) return job(++service.turns, service);
    return { body: { exported: service.exported } };
  });
  opened.push(server);
  return { server, service };
}

const EXPORT = {
  method: 'POST',
  url: '/exports',
  probes: { report: { get: '/report' } },
  ensures: ['post.report.exported == pre.report.exported + 1'],
  changes: ['/report/exported'],
} as const satisfies HttpOperation;
const ACCEPTED = {
  poll: '/jobs/{result.body.id}',
  done: "result.status == 'done'",
  failed: "result.status == 'failed'",
  within: '5s',
} as const;

function tool({ url }: JsonService, more: Partial<HttpOperation> = { accepted: ACCEPTED }) {
  const made = toolOn(url, { operations: { export: { ...EXPORT, ...more } } });
  opened.push(made);
  return made;
}

const job = (status: string, more: object = {}): Response => ({ body: { id: 'j1', status, ...more } });
const failing = (checks: readonly { ok: boolean; detail?: string }[]) => checks.filter(({ ok }) => !ok);

describe('a job that is followed', () => {
  test('is awaited until it is done, and the probes verify it', async () => {
    const { server, service } = await exporting((turn, one) => {
      if (turn === 3) one.exported++;
      return job(turn < 3 ? 'running' : 'done', { rows: 7 });
    });
    const { execution, checks } = await act(tool(server), { op: 'export' });
    expect(execution.result).toMatchObject({ status: 202, body: { id: 'j1' }, job: { status: 'done', rows: 7 } });
    expect(failing(checks)).toEqual([]);
    expect(service.turns).toBe(3);
  });

  test.each(['/jobs/j1', 'jobs/j1', 'ABSOLUTE'])('is found under its Location (%s)', async (location) => {
    const headers: Record<string, string> = {};
    const { server } = await exporting(
      (_turn, one) => {
        one.exported = 1;
        return job('done');
      },
      { headers },
    );
    headers['location'] = location === 'ABSOLUTE' ? `${server.url}/jobs/j1` : location;
    const { checks } = await act(tool(server, { accepted: { ...ACCEPTED, poll: 'location' } }), { op: 'export' });
    expect(failing(checks)).toEqual([]);
  });

  test.each(['http://169.254.169.254/latest', 'https://elsewhere.example/jobs/j1', 'file:///etc/passwd', undefined])(
    'is not looked for where its Location must not lead (%s): unknown',
    async (location) => {
      const { server } = await exporting(() => job('done'), location === undefined ? {} : { headers: { location } });
      const error = execute(tool(server, { accepted: { ...ACCEPTED, poll: 'location' } }), { op: 'export' });
      await expectCode(error, 'EFFECT_UNKNOWN');
      expect(server.seen.filter((one) => one.startsWith('POST'))).toHaveLength(1);
      expect(server.seen.filter((one) => one.includes('/jobs/'))).toEqual([]);
    },
  );

  test("that failed is a part that was not done, with the job's words", async () => {
    const words = { error: { message: 'no space\nleft' } };
    const { server } = await exporting((turn) => job(turn < 2 ? 'running' : 'failed', words));
    const accepted = { ...ACCEPTED, message: '/error/message' };
    const { execution, checks } = await act(tool(server, { accepted }), { op: 'export' });
    expect(execution.parts).toEqual([
      { name: 'job', done: false, detail: 'the service says that it failed ("no space\\nleft")' },
    ]);
    expect(failing(checks)).not.toEqual([]);
  });

  test.each([
    ['never ends', () => job('running')],
    ['is not there', () => ({ status: 404 })],
    ['cannot be read', () => ({ status: 500 })],
    ['says nothing of how it is', () => ({ body: {} })],
  ])('that %s is unknown when its time is over, and the request is not sent again', async (_what, state) => {
    const { server } = await exporting(state);
    const sends = Sends.ofOneCall({ max: 5, withinMs: 60_000 });
    const slow = tool(server, { accepted: { ...ACCEPTED, within: '600ms' } });
    const error = await expectCode(execute(slow, { op: 'export' }, { sends }), 'EFFECT_UNKNOWN');
    expect(error.message).toContain('has not ended within 600 ms');
    expect(sends.pauseAfter(error)).toBeUndefined();
    expect(server.seen.filter((one) => one.startsWith('POST'))).toHaveLength(1);
  });

  test('is read through moments at which it cannot be', async () => {
    const { server } = await exporting((turn, one) => {
      if (turn < 3) return { status: 503 };
      one.exported = 1;
      return job('done');
    });
    expect(failing((await act(tool(server), { op: 'export' })).checks)).toEqual([]);
  });

  test.each<[string, object, RegExp]>([
    ['an address that is none', { poll: 'jobs' }, /export\.accepted\.poll/],
    ['CEL that names what is not known', { done: 'post.x == 1' }, /names post/],
    ['a time that is none', { within: 'soon' }, /export\.accepted\.within/],
    ['a time that is too long', { within: '1h' }, /at most 10m/],
  ])('is refused as config with %s', async (_what, more, message) => {
    const { server } = await exporting(() => job('done'));
    expect(() => tool(server, { accepted: { ...ACCEPTED, ...more } })).toThrow(message);
  });
});

test('an accepted request whose job is not followed may take a declared time, by default 30 seconds', async () => {
  const { server } = await exporting(() => job('done'));
  const parsed = tool(server).input.parse({ op: 'export' });
  const accepted = { result: { status: 202, body: null } };
  const done = { result: { status: 200, body: null } };
  const times = (more: Partial<HttpOperation>) =>
    [accepted, done].map((execution) => tool(server, more).settlesWithinMs?.(parsed, execution));
  expect(times({})).toEqual([30_000, 0]);
  expect(times({ settlesWithin: '5s' })).toEqual([5_000, 5_000]);
  expect(times({ accepted: ACCEPTED })).toEqual([0, 0]);
});
