/** What a worker makes of what the ledger says of policies: it takes up a change once, and follows none that was cut back, altered or cannot be used. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import type { Digest } from '../../src/action/json.js';
import type { PlacedPolicy, ProvenChange } from '../../src/action/policy-rollout.js';
import { bundleFromFiles, RolledOutPolicy, storedBundle, type PolicyPlaces } from '../../src/policy/index.js';
import { policyFromText } from '../../src/testing/index.js';
import { PERMIT_ALL } from './facts.js';

type Line = readonly [level: string, message: string, fields: Readonly<Record<string, unknown>>];
type State = PlacedPolicy['state'];

/** What a ledger would say, and what it was asked. */
class Ledger implements PolicyPlaces {
  policies: PlacedPolicy[] = [];
  proven: ProvenChange | undefined;
  /** What keeps it from answering. */
  down: Error | undefined;
  /** By the signature of a change: why it does not hold. */
  readonly unsigned = new Map<string, CountersignError>();
  readonly bundles = new Map<Digest, Readonly<Record<string, string>>>();
  readonly asked: string[] = [];
  /** Looks that wait until it lets them go on. */
  pause: Promise<void> | undefined;

  async placed() {
    this.asked.push('placed');
    await this.pause;
    if (this.down !== undefined) throw this.down;
    return { policies: this.policies, proven: this.proven };
  }

  async files(digest: Digest) {
    this.asked.push('files');
    return this.bundles.get(digest);
  }

  async verify({ signed }: PlacedPolicy) {
    this.asked.push(`verify ${signed}`);
    const why = this.unsigned.get(signed);
    if (why !== undefined) throw why;
  }

  /** Keeps a policy of this name. @returns its digest */
  keep(name: string): Digest {
    const { bundle } = policyFromText({
      'a.cedar': PERMIT_ALL,
      'b.cedar': `@id("${name}") forbid (principal, action, resource) when { context.rows > 9 };`,
    });
    this.bundles.set(bundle.digest, bundle.files);
    return bundle.digest;
  }

  /** Has the change of this number put the policy of this name into its place. */
  place(state: State, since: number, name: string): Digest {
    const digest = this.keep(name);
    this.policies = [
      ...this.policies.filter((one) => one.state !== state),
      { digest, state, since, signed: `s${since}` },
    ];
    return digest;
  }

  remove(state: State): void {
    this.policies = this.policies.filter((one) => one.state !== state);
  }
}

let ledger: Ledger;
let lines: Line[];
let worker: RolledOutPolicy;
beforeEach(() => {
  ledger = new Ledger();
  lines = [];
  worker = new RolledOutPolicy(ledger, {
    info: (fields, message) => void lines.push(['info', message, fields]),
    error: (fields, message) => void lines.push(['error', message, fields]),
  });
});

function refusal(run: () => unknown): CountersignError {
  try {
    run();
  } catch (error) {
    if (error instanceof CountersignError) return error;
  }
  throw new Error('it was not refused');
}

const invalid = (message: string, more = {}) => new CountersignError('POLICY_INVALID', message, more);

describe('without an active policy', () => {
  test('there is none to decide with, and the error says how to get one', async () => {
    expect(await worker.reload()).toMatchObject({ ok: false, error: { code: 'POLICY_UNAVAILABLE' } });
    const error = refusal(() => worker.current());
    expect(error).toMatchObject({ code: 'POLICY_UNAVAILABLE', field: 'policies' });
    expect(error.fix).toMatch(/^Publish a policy and promote it/);
    expect(error.cause).toBeUndefined();
    expect(worker.problem()).toBeUndefined();
    expect(worker.shadow()).toBeUndefined();
    expect(worker.latestChange()).toBe(0);
    expect(worker.proof()).toBeUndefined();
    expect(lines).toEqual([]);
  });

  test('what kept it from being taken up is told with it', async () => {
    ledger.place('active', 1, 'one');
    ledger.unsigned.set('s1', invalid('Nobody signed it.', { fix: 'Find out who wrote it.' }));
    expect(await worker.reload()).toMatchObject({ ok: false, error: { message: 'Nobody signed it.' } });
    expect(refusal(() => worker.current())).toMatchObject({
      code: 'POLICY_UNAVAILABLE',
      fix: 'Nobody signed it. Find out who wrote it.',
      cause: { code: 'POLICY_INVALID' },
    });
    expect(lines).toEqual([
      [
        'error',
        'policy not taken up, no policy is active: Nobody signed it.',
        expect.objectContaining({ place: 'active', active: null, code: 'POLICY_INVALID' }),
      ],
    ]);
  });

  test('what kept it from being taken up is told as it is, where it does not say what to do', async () => {
    ledger.place('active', 1, 'one');
    ledger.unsigned.set('s1', invalid('Nobody signed it.'));
    await worker.reload();
    expect(refusal(() => worker.current()).fix).toBe('Nobody signed it.');
  });
});

describe('the active policy', () => {
  test('is taken up once, when its change was verified', async () => {
    const digest = ledger.place('active', 3, 'one');
    expect(await worker.reload()).toEqual({ ok: true, changed: true, digest });
    expect(worker.current().digest).toBe(digest);
    expect(ledger.asked).toEqual(['placed', 'verify s3', 'files']);
    expect(await worker.reload()).toEqual({ ok: true, changed: false, digest });
    expect(ledger.asked.slice(3)).toEqual(['placed']);
    expect(lines).toEqual([['info', 'policy activated', { place: 'active', change: 3, from: null, to: digest }]]);
    expect(worker.latestChange()).toBe(3);
    expect(worker.proof()).toEqual({ seq: 3, signed: 's3' });
  });

  test('is replaced by that of a later change', async () => {
    const from = ledger.place('active', 3, 'one');
    await worker.reload();
    const to = ledger.place('active', 4, 'two');
    expect(await worker.reload()).toEqual({ ok: true, changed: true, digest: to });
    expect(lines.at(-1)).toEqual(['info', 'policy activated', { place: 'active', change: 4, from, to }]);
  });

  test('stays where the next one was altered, is not there or does not compile; that is told once, and read once', async () => {
    const digest = ledger.place('active', 1, 'one');
    await worker.reload();
    const altered = ledger.place('active', 2, 'two');
    const { bundle } = policyFromText({ 'a.cedar': PERMIT_ALL });
    ledger.bundles.set(altered, bundle.files);
    const refused = await worker.reload();
    expect(refused).toMatchObject({
      ok: false,
      error: { code: 'POLICY_INVALID', field: 'bundle.digest', expected: altered },
    });
    const asked = ledger.asked.length;
    expect(await worker.reload()).toEqual(refused);
    expect(ledger.asked.slice(asked)).toEqual(['placed']);
    expect(worker.current().digest).toBe(digest);
    expect(lines.filter(([level]) => level === 'error')).toEqual([
      [
        'error',
        expect.stringMatching(/^policy not taken up, the policy before stays active: /),
        expect.objectContaining({ active: digest }),
      ],
    ]);

    ledger.bundles.delete(ledger.place('active', 3, 'three'));
    expect(await worker.reload()).toMatchObject({ ok: false, error: { code: 'NOT_FOUND', field: 'digest' } });
    const next = ledger.place('active', 4, 'four');
    expect(await worker.reload()).toEqual({ ok: true, changed: true, digest: next });
    expect(worker.problem()).toBeUndefined();
  });

  test('is tried again where what failed may pass', async () => {
    const digest = ledger.place('active', 1, 'one');
    ledger.unsigned.set('s1', invalid('The keys are not there yet.', { retryable: true }));
    expect(await worker.reload()).toMatchObject({ ok: false });
    ledger.unsigned.clear();
    expect(await worker.reload()).toEqual({ ok: true, changed: true, digest });
  });

  test('stays while the ledger is away, which is told until it is back', async () => {
    const digest = ledger.place('active', 1, 'one');
    await worker.reload();
    ledger.down = new Error('no connection');
    expect(await worker.reload()).toMatchObject({ ok: false, error: { message: 'no connection' } });
    expect(worker.problem()).toMatchObject({ message: 'no connection' });
    expect(worker.current().digest).toBe(digest);
    expect(lines.at(-1)).toMatchObject([
      'error',
      expect.stringContaining('no connection'),
      { place: 'ledger', active: digest },
    ]);
    await worker.reload();
    expect(lines.filter(([level]) => level === 'error')).toHaveLength(1);
    ledger.down = new Error('no route');
    await worker.reload();
    expect(lines.filter(([level]) => level === 'error')).toHaveLength(2);
    ledger.down = undefined;
    expect(await worker.reload()).toEqual({ ok: true, changed: false, digest });
    expect(worker.problem()).toBeUndefined();
  });
});

describe('a ledger whose history was cut back', () => {
  test.each<[string, () => unknown]>([
    ['by an earlier change', () => ledger.place('active', 4, 'earlier')],
    ['by none at all', () => ledger.remove('active')],
  ])('%s changes nothing, until it knows the change again', async (_, cut) => {
    const digest = ledger.place('active', 5, 'one');
    await worker.reload();
    cut();
    expect(await worker.reload()).toMatchObject({
      ok: false,
      error: { code: 'POLICY_INVALID', field: 'policies', message: expect.stringContaining('change 5') },
    });
    expect(worker.current().digest).toBe(digest);
    expect(worker.latestChange()).toBe(5);
    ledger.place('active', 5, 'one');
    expect(await worker.reload()).toEqual({ ok: true, changed: false, digest });
    expect(worker.problem()).toBeUndefined();
  });

  test('behind what others show lets nothing be decided: neither by what it says nor by what ran here', async () => {
    ledger.place('active', 4, 'one');
    await worker.reload();
    ledger.proven = { seq: 6, shownBy: 'worker 7@host' };
    expect(await worker.reload()).toMatchObject({
      ok: false,
      error: {
        code: 'POLICY_INVALID',
        message:
          'The ledger says that change 4 made the policy active, but there was change 6, as worker 7@host shows.',
        field: 'policies',
        expected: 'change 6 or a later one',
      },
    });
    expect(refusal(() => worker.current()).code).toBe('POLICY_UNAVAILABLE');
    expect(lines.at(-1)?.[1]).toContain('no policy is active');
    ledger.remove('active');
    expect(await worker.reload()).toMatchObject({
      error: { message: expect.stringContaining('no policy is active, but there was change 6') },
    });
    const digest = ledger.place('active', 6, 'two');
    expect(await worker.reload()).toEqual({ ok: true, changed: true, digest });
  });

  test('behind what others show and what runs here leaves what runs here', async () => {
    const digest = ledger.place('active', 6, 'one');
    await worker.reload();
    ledger.proven = { seq: 6, shownBy: 'worker 7@host' };
    ledger.place('active', 4, 'two');
    expect(await worker.reload()).toMatchObject({ ok: false, error: { code: 'POLICY_INVALID' } });
    expect(worker.current().digest).toBe(digest);
  });

  test('no further than what others show is followed', async () => {
    ledger.proven = { seq: 3, shownBy: 'the history' };
    const digest = ledger.place('active', 3, 'one');
    expect(await worker.reload()).toEqual({ ok: true, changed: true, digest });
  });
});

describe('what shows others that there was a change', () => {
  const shown = async (proven: ProvenChange) => {
    ledger.place('active', 3, 'one');
    await worker.reload();
    ledger.proven = proven;
    await worker.reload();
    return { latest: worker.latestChange(), proof: worker.proof() };
  };

  test('is the signature of the change that runs here, where none is later', async () => {
    for (const seq of [2, 3])
      expect(await shown({ seq, shownBy: 'x', signed: 'other' })).toEqual({
        latest: 3,
        proof: { seq: 3, signed: 's3' },
      });
  });

  test('is the signature of the later one, where there is one', async () => {
    expect(await shown({ seq: 4, shownBy: 'x', signed: 'other' })).toEqual({
      latest: 4,
      proof: { seq: 4, signed: 'other' },
    });
    expect(await shown({ seq: 5, shownBy: 'receipt 12 of acme' })).toEqual({ latest: 5, proof: undefined });
  });

  test('is that of the later one also while this worker runs what was there before, because it cannot take up the later', async () => {
    const digest = ledger.place('active', 3, 'one');
    await worker.reload();
    ledger.place('active', 4, 'two');
    ledger.unsigned.set('s4', invalid('The keys are not there yet.', { retryable: true }));
    ledger.proven = { seq: 4, shownBy: 'x', signed: 'other' };
    await worker.reload();
    expect(worker.current().digest).toBe(digest);
    expect(worker.proof()).toEqual({ seq: 4, signed: 'other' });
  });
});

describe('the policy in shadow', () => {
  test('is taken up beside the active one, and ends with its place', async () => {
    const digest = ledger.place('active', 1, 'one');
    const shadow = ledger.place('shadow', 2, 'two');
    expect(await worker.reload()).toEqual({ ok: true, changed: true, digest });
    expect(worker.shadow()?.digest).toBe(shadow);
    expect(lines.at(-1)).toEqual([
      'info',
      'policy evaluated in shadow',
      { place: 'shadow', change: 2, from: null, to: shadow },
    ]);
    ledger.remove('shadow');
    await worker.reload();
    await worker.reload();
    expect(worker.shadow()).toBeUndefined();
    expect(lines.slice(2)).toEqual([['info', 'no policy is in shadow any more', { place: 'shadow' }]]);
  });

  test('stays where the active one cannot be taken up', async () => {
    ledger.place('active', 1, 'one');
    const shadow = ledger.place('shadow', 2, 'two');
    await worker.reload();
    ledger.place('active', 3, 'three');
    ledger.unsigned.set('s3', invalid('Nobody signed it.'));
    ledger.asked.length = 0;
    expect(await worker.reload()).toMatchObject({ ok: false });
    expect(worker.shadow()?.digest).toBe(shadow);
    expect(ledger.asked).toEqual(['placed', 'verify s3']);
  });

  test('that cannot be used ends the one before, and hinders the active one in nothing', async () => {
    const digest = ledger.place('active', 1, 'one');
    ledger.place('shadow', 2, 'two');
    await worker.reload();
    ledger.place('shadow', 3, 'three');
    ledger.unsigned.set('s3', invalid('Nobody signed it.'));
    expect(await worker.reload()).toEqual({ ok: true, changed: false, digest });
    expect(worker.shadow()).toBeUndefined();
    expect(worker.problem()).toMatchObject({ message: 'Nobody signed it.' });
    ledger.remove('shadow');
    await worker.reload();
    expect(worker.problem()).toBeUndefined();
  });
});

describe('a policy that was prepared', () => {
  test('is not read again when it is activated, and is not kept longer than that', async () => {
    const digest = ledger.keep('two');
    const prepared = await worker.prepare(digest);
    expect(prepared.digest).toBe(digest);
    expect(await worker.prepare(digest)).toBe(prepared);
    ledger.place('active', 1, 'two');
    await worker.reload();
    expect(worker.current()).toBe(prepared);
    expect(ledger.asked).toEqual(['files', 'placed', 'verify s1']);

    const other = ledger.keep('three');
    await worker.prepare(other);
    ledger.place('active', 2, 'four');
    await worker.reload();
    ledger.asked.length = 0;
    await worker.prepare(other);
    expect(ledger.asked).toEqual(['files']);
  });

  test('is the one that runs, where it does', async () => {
    const digest = ledger.place('active', 1, 'one');
    const shadow = ledger.place('shadow', 2, 'two');
    await worker.reload();
    ledger.asked.length = 0;
    expect(await worker.prepare(digest)).toBe(worker.current());
    expect(await worker.prepare(shadow)).toBe(worker.shadow());
    expect(ledger.asked).toEqual([]);
  });

  test('that the ledger does not keep is not found', async () => {
    const { digest } = bundleFromFiles(policyFromText({ 'a.cedar': PERMIT_ALL }).bundle.files);
    await expect(worker.prepare(digest)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      field: 'digest',
      expected: 'the digest of a published policy',
    });
    await expect(storedBundle(digest, async () => undefined)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('looking', () => {
  afterEach(() => void vi.useRealTimers());

  test('is done once at a time, in the order in which it was asked for', async () => {
    let release: () => void = () => undefined;
    ledger.pause = new Promise((resolve) => (release = resolve));
    const first = worker.reload();
    const second = worker.reload();
    await vi.waitFor(() => expect(ledger.asked).toEqual(['placed']));
    const digest = ledger.place('active', 1, 'one');
    release();
    expect(await first).toEqual({ ok: true, changed: true, digest });
    expect(await second).toEqual({ ok: true, changed: false, digest });
  });

  test('goes on at intervals until it is stopped, also where it is stopped during a look', async () => {
    vi.useFakeTimers();
    const looks = () => ledger.asked.length;
    const stop = worker.watch(100);
    await vi.advanceTimersByTimeAsync(99);
    expect(looks()).toBe(0);
    await vi.advanceTimersByTimeAsync(301);
    expect(looks()).toBe(4);
    stop();
    await vi.advanceTimersByTimeAsync(1000);
    expect(looks()).toBe(4);

    let release: () => void = () => undefined;
    ledger.pause = new Promise((resolve) => (release = resolve));
    const stopLater = worker.watch(100);
    await vi.advanceTimersByTimeAsync(100);
    expect(looks()).toBe(5);
    stopLater();
    release();
    await vi.advanceTimersByTimeAsync(1000);
    expect(looks()).toBe(5);
  });
});
