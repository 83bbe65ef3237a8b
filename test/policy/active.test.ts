import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import {
  activePolicy,
  ActivePolicy,
  evaluate,
  loadBundle,
  starterFolder,
  type PolicyBundle,
  type Reload,
} from '../../src/policy/index.js';
import { factsOf, PERMIT_ALL } from './facts.js';

const FORBID_ALL = '@id("forbid-all") @reason("closed") forbid (principal, action, resource);\n';
const ASK = '@id("ask") @reason("closed") @approval("dba") forbid (principal, action, resource);\n';
const schema = (await loadBundle(starterFolder())).files['schema.cedarschema'] ?? '';

interface Line {
  readonly level: 'info' | 'error';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

class Log {
  readonly lines: Line[] = [];

  readonly info = (fields: Line['fields'], message: string): void => this.#add({ level: 'info', fields, message });
  readonly error = (fields: Line['fields'], message: string): void => this.#add({ level: 'error', fields, message });

  #add(line: Line): void {
    this.lines.push(line);
  }
}

let folder: string;
let log: Log;
let stop: (() => void) | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-active-'));
  log = new Log();
  await write('schema.cedarschema', schema);
  await write('a.cedar', PERMIT_ALL);
});
afterEach(async () => {
  stop?.();
  stop = undefined;
  await rm(folder, { recursive: true });
});

/** Replaces the whole file at once, as an editor does. */
async function write(name: string, text: string): Promise<void> {
  await writeFile(join(folder, `.${name}.new`), text);
  await rename(join(folder, `.${name}.new`), join(folder, name));
}

const decide = (active: ActivePolicy) => evaluate(active.current(), factsOf()).effect;

function ok(reload: Reload): Extract<Reload, { ok: true }> {
  if (!reload.ok) throw reload.error;
  return reload;
}

describe('before a first load', () => {
  test('there is no policy, and `current` throws an error that says so', () => {
    const active = new ActivePolicy({ folder, logger: log });
    expect(() => active.current()).toThrow(expect.objectContaining({ code: 'POLICY_UNAVAILABLE' }));
    expect(active.status()).toEqual({ folder });
  });

  test('an unusable folder changes nothing, and the reason is kept', async () => {
    await write('a.cedar', 'permit (principal, action, resource)');
    const active = new ActivePolicy({ folder, logger: log });
    expect(await active.reload()).toMatchObject({ ok: false, error: { code: 'POLICY_INVALID' } });
    expect(() => active.current()).toThrow(
      expect.objectContaining({ code: 'POLICY_UNAVAILABLE', fix: expect.stringContaining('a.cedar:1:') }),
    );
    expect(log.lines).toMatchObject([{ level: 'error', message: expect.stringContaining('no policy is active') }]);
  });
});

describe('a reload', () => {
  test('replaces the policy, and logs the old and new digest', async () => {
    const active = new ActivePolicy({ folder, logger: log });
    const { digest: first } = ok(await active.reload());
    expect(decide(active)).toBe('allow');
    await write('b.cedar', FORBID_ALL);
    const second = ok(await active.reload());
    expect(second.changed).toBe(true);
    expect(decide(active)).toBe('deny');
    expect(log.lines).toEqual([
      { level: 'info', message: 'policy loaded', fields: { folder, from: null, to: first } },
      { level: 'info', message: 'policy loaded', fields: { folder, from: first, to: second.digest } },
    ]);
  });

  test('of a folder with a syntax error keeps the active policy, says where the error is, and accepts the corrected one', async () => {
    const active = new ActivePolicy({ folder, logger: log });
    const { digest } = ok(await active.reload());
    const running = active.current();
    await write('b.cedar', `${ASK}\n@id("broken") forbid (principal, action resource);`);
    const refused = await active.reload();
    expect(refused).toMatchObject({ ok: false, error: { code: 'POLICY_INVALID', field: 'b.cedar:3:41' } });
    expect(active.current()).toBe(running);
    expect(active.status()).toMatchObject({ digest, lastError: { field: 'b.cedar:3:41' } });
    expect(log.lines.at(-1)).toMatchObject({
      level: 'error',
      fields: { active: digest, code: 'POLICY_INVALID' },
      message: expect.stringMatching(/policy refused, the policy before stays active: b\.cedar:3:41/),
    });
    await write('b.cedar', ASK);
    expect(ok(await active.reload()).changed).toBe(true);
    expect(decide(active)).toBe('require_approval');
    expect(active.status().lastError).toBeUndefined();
  });

  test('of a missing folder keeps the active policy', async () => {
    const active = new ActivePolicy({ folder, logger: log });
    await active.reload();
    await rename(folder, `${folder}-gone`);
    try {
      expect(await active.reload()).toMatchObject({ ok: false, error: { code: 'POLICY_INVALID' } });
      expect(decide(active)).toBe('allow');
    } finally {
      await rename(`${folder}-gone`, folder);
    }
  });

  test('that changes nothing stores nothing and keeps the same policy', async () => {
    const stored: PolicyBundle[] = [];
    const active = new ActivePolicy({ folder, logger: log, store: async (bundle) => void stored.push(bundle) });
    await active.reload();
    const before = active.current();
    await write('a.cedar', PERMIT_ALL.replaceAll('\n', '\r\n'));
    expect(ok(await active.reload()).changed).toBe(false);
    expect(active.current()).toBe(before);
    expect(stored.map((bundle) => bundle.digest)).toEqual([before.digest]);
  });
});

describe('storing', () => {
  test('comes first: a policy that could not be stored is never used', async () => {
    let down = false;
    const active = new ActivePolicy({
      folder,
      logger: log,
      store: async () => {
        if (down) throw new CountersignError('LEDGER_UNAVAILABLE', 'the ledger is down', { retryable: true });
      },
    });
    await active.reload();
    const before = active.current();
    down = true;
    await write('b.cedar', FORBID_ALL);
    expect(await active.reload()).toMatchObject({ ok: false, error: { code: 'LEDGER_UNAVAILABLE' } });
    expect(active.current()).toBe(before);
    down = false;
    expect(ok(await active.reload()).changed).toBe(true);
    expect(decide(active)).toBe('deny');
  });

  test('is awaited: until it ends, the previous policy is used', async () => {
    let release: () => void = () => undefined;
    let reached: () => void = () => undefined;
    let gate: Promise<void> | undefined;
    const storing = new Promise<void>((resolve) => (reached = resolve));
    const store = async (): Promise<void> => {
      if (gate !== undefined) reached();
      await gate;
    };
    const active = new ActivePolicy({ folder, logger: log, store });
    await active.reload();
    gate = new Promise((resolve) => (release = resolve));
    await write('b.cedar', FORBID_ALL);
    const reload = active.reload();
    await storing;
    expect(decide(active)).toBe('allow');
    release();
    await reload;
    expect(decide(active)).toBe('deny');
  });
});

describe('concurrent reloads', () => {
  test('share one reload, and a change made during a reload is not missed', async () => {
    let release: () => void = () => undefined;
    let gate: Promise<void> | undefined = new Promise((resolve) => (release = resolve));
    let reached: () => void = () => undefined;
    const storing = new Promise<void>((resolve) => (reached = resolve));
    const stored: string[] = [];
    const active = new ActivePolicy({
      folder,
      logger: log,
      store: async (bundle) => {
        stored.push(bundle.digest);
        reached();
        await gate;
      },
    });
    const first = active.reload();
    await storing;
    await write('b.cedar', FORBID_ALL);
    const later = Array.from({ length: 50 }, () => active.reload());
    gate = undefined;
    release();
    await Promise.all([first, ...later]);
    expect(new Set(later).size).toBe(1);
    expect(stored).toHaveLength(2);
    expect(decide(active)).toBe('deny');
  });
});

describe('watching, at each interval,', () => {
  /** An interval that nothing else in this process has: other timers go on as they are. */
  const INTERVAL = 1_000_003;
  let active: ActivePolicy;
  /** What each timer of this interval does when it has passed. */
  const looks = new Map<unknown, () => void>();

  beforeEach(async () => {
    looks.clear();
    const { setTimeout, clearTimeout } = globalThis;
    vi.spyOn(globalThis, 'setTimeout').mockImplementation((...given: Parameters<typeof setTimeout>) => {
      const timer = setTimeout(...given);
      if (given[1] === INTERVAL) looks.set(timer, given[0]);
      return timer;
    });
    vi.spyOn(globalThis, 'clearTimeout').mockImplementation((timer) => {
      looks.delete(timer);
      clearTimeout(timer);
    });
    active = new ActivePolicy({ folder, logger: log });
    await active.reload();
    stop = active.watch(INTERVAL);
  });
  afterEach(() => void vi.restoreAllMocks());

  /** One interval passes. What is done then goes on. */
  function advance(): void {
    expect(looks.size).toBe(1);
    const [look] = looks.values();
    looks.clear();
    look?.();
  }
  /** One interval passes, and what is done then is done. */
  async function pass(): Promise<void> {
    advance();
    await vi.waitFor(() => expect(looks.size).toBe(1), { timeout: 30_000, interval: 1 });
  }

  test('looks at the folder, and reads nothing that did not change', async () => {
    for (let n = 0; n < 3; n++) await pass();
    expect(log.lines).toHaveLength(1);
  });

  test('reads a change once it has been there for an interval', async () => {
    await write('b.cedar', FORBID_ALL);
    await pass();
    expect(log.lines).toHaveLength(1);
    await pass();
    expect(log.lines.map(({ message }) => message)).toEqual(['policy loaded', 'policy loaded']);
    expect(decide(active)).toBe('deny');
    await pass();
    await pass();
    expect(log.lines).toHaveLength(2);
  });

  test('waits while the folder keeps changing', async () => {
    for (let n = 0; n < 4; n++) {
      await write('a.cedar', `${PERMIT_ALL}// ${n}`);
      await pass();
    }
    expect(log.lines).toHaveLength(1);
    await pass();
    expect(log.lines).toHaveLength(2);
  });

  test('reads nothing where a change was taken back before it was read', async () => {
    await write('b.cedar', FORBID_ALL);
    await pass();
    await rm(join(folder, 'b.cedar'));
    for (let n = 0; n < 3; n++) await pass();
    expect(log.lines).toHaveLength(1);
  });

  test('refuses the same files once, and a folder that is missing once', async () => {
    await write('b.cedar', 'forbid');
    for (let n = 0; n < 5; n++) await pass();
    expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
    await rename(folder, `${folder}-gone`);
    try {
      for (let n = 0; n < 5; n++) await pass();
    } finally {
      await rename(`${folder}-gone`, folder);
    }
    expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(2);
    await rm(join(folder, 'b.cedar'));
    for (let n = 0; n < 3; n++) await pass();
    expect(log.lines.at(-1)).toMatchObject({ level: 'info', message: 'policy unchanged' });
  });

  test.each([
    ['says that it may pass', new CountersignError('LEDGER_UNAVAILABLE', 'down', { retryable: true })],
    ['nobody knows', new Error('down')],
  ])('tries again after an error that %s', async (_, error) => {
    stop?.();
    let down = true;
    active = new ActivePolicy({
      folder,
      logger: log,
      store: async () => {
        if (down) throw error;
      },
    });
    await active.reload();
    stop = active.watch(INTERVAL);
    for (let n = 0; n < 4; n++) await pass();
    const errors = log.lines.filter(({ level }) => level === 'error').length;
    expect(errors).toBe(3);
    down = false;
    await pass();
    await pass();
    expect(log.lines.at(-1)).toMatchObject({ level: 'info', message: 'policy loaded' });
  });

  test('ends when it is stopped, also during a look', async () => {
    await write('b.cedar', FORBID_ALL);
    await pass();
    advance();
    stop?.();
    const other = new ActivePolicy({ folder, logger: new Log() });
    await other.reload();
    await other.reload();
    expect(looks.size).toBe(0);
    expect(log.lines).toHaveLength(1);
    expect(decide(active)).toBe('allow');
    active.watch(INTERVAL)();
    expect(looks.size).toBe(0);
  });
});

describe('what a reload tells', () => {
  test('is why nothing is active, with the cause, and where to look', async () => {
    const active = new ActivePolicy({ folder, logger: log });
    const error = unavailable(active);
    expect(error).toMatchObject({ field: folder, fix: 'Load the policy folder first.', retryable: true });
    expect(error.cause).toBeUndefined();
    expect(activePolicy(active)).toBeUndefined();
    await write('a.cedar', 'permit');
    const refused = await active.reload();
    expect(unavailable(active).cause).toBe(refused.ok ? undefined : refused.error);
    expect(log.lines.at(-1)).toMatchObject({ fields: { folder, active: null, code: 'POLICY_INVALID' } });
    await write('a.cedar', PERMIT_ALL);
    await active.reload();
    expect(activePolicy(active)).toBe(active.current());
    expect(active.status()).toEqual({ folder, digest: active.current().digest });
  });

  test('is an unchanged policy, where the files say the same', async () => {
    const active = new ActivePolicy({ folder, logger: log });
    const first = ok(await active.reload());
    const second = ok(await active.reload());
    expect(second).toEqual({ ok: true, changed: false, digest: first.digest });
    expect(log.lines.at(-1)).toEqual({
      level: 'info',
      message: 'policy unchanged',
      fields: { folder, from: first.digest, to: first.digest },
    });
  });
});

function unavailable(active: ActivePolicy): CountersignError {
  try {
    active.current();
  } catch (error) {
    if (error instanceof CountersignError) return error;
  }
  throw new Error('There is a policy.');
}
