/** The watching of a folder by the clock, as a worker does it. How it decides what to read is in `active`, where the test sets the clock. */
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import { ActivePolicy, evaluate, loadBundle, starterFolder } from '../../src/policy/index.js';
import { factsOf, PERMIT_ALL } from './facts.js';

const FORBID_ALL = '@id("forbid-all") @reason("closed") forbid (principal, action, resource);\n';
const schema = (await loadBundle(starterFolder())).files['schema.cedarschema'] ?? '';

interface Line {
  readonly level: 'info' | 'error';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** A log whose entries a test can wait for. */
class Log {
  readonly lines: Line[] = [];
  #changed: (() => void)[] = [];

  readonly info = (fields: Line['fields'], message: string): void => this.#add({ level: 'info', fields, message });
  readonly error = (fields: Line['fields'], message: string): void => this.#add({ level: 'error', fields, message });

  #add(line: Line): void {
    this.lines.push(line);
    for (const wake of this.#changed.splice(0)) wake();
  }

  async line(holds: (line: Line) => boolean): Promise<Line> {
    for (;;) {
      const found = this.lines.find(holds);
      if (found !== undefined) return found;
      await new Promise<void>((wake) => this.#changed.push(wake));
    }
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

describe('watching', () => {
  test('accepts changes, refuses a broken one once, and accepts the correction', async () => {
    const active = new ActivePolicy({ folder, logger: log });
    await active.reload();
    stop = active.watch(10);
    await write('b.cedar', FORBID_ALL);
    await log.line((line) => line.level === 'info' && line.fields['from'] !== null);
    expect(decide(active)).toBe('deny');

    await write('b.cedar', 'forbid');
    await log.line((line) => line.level === 'error');
    expect(decide(active)).toBe('deny');

    await rm(join(folder, 'b.cedar'));
    await log.line(
      (line) => line.level === 'info' && line.fields['to'] === log.lines[0]?.fields['to'] && line !== log.lines[0],
    );
    expect(decide(active)).toBe('allow');
    expect(log.lines.filter((line) => line.level === 'error')).toHaveLength(1);
  });

  test('refuses a missing folder once, and accepts it when it is back', async () => {
    const active = new ActivePolicy({ folder, logger: log });
    await active.reload();
    stop = active.watch(10);
    await rename(folder, `${folder}-gone`);
    await log.line((line) => line.level === 'error');
    await rename(`${folder}-gone`, folder);
    await write('b.cedar', FORBID_ALL);
    await log.line((line) => line.message === 'policy loaded' && line.fields['from'] !== null);
    expect(decide(active)).toBe('deny');
    expect(active.status().lastError).toBeUndefined();
    expect(log.lines.filter((line) => line.level === 'error')).toHaveLength(1);
  });

  test('tries again by itself when it was the ledger that failed', async () => {
    let failures = 2;
    const active = new ActivePolicy({
      folder,
      logger: log,
      store: async () => {
        if (failures-- > 0) throw new CountersignError('LEDGER_UNAVAILABLE', 'down', { retryable: true });
      },
    });
    await active.reload();
    stop = active.watch(10);
    await log.line((line) => line.level === 'info');
    expect(decide(active)).toBe('allow');
    expect(log.lines.map((line) => line.level)).toEqual(['error', 'error', 'info']);
  });

  test('does not read a folder while it keeps changing', async () => {
    const interval = 100;
    const active = new ActivePolicy({ folder, logger: log });
    await active.reload();
    stop = active.watch(interval);
    // Each text is a valid policy that its author has not finished. On a busy machine, a pause between writes may be taken for the end.
    // Such an attempt proves nothing, and is repeated.
    for (let tries = 0; ; tries++) {
      await active.reload();
      const before = log.lines.length;
      let pause = 0;
      for (let last = Date.now(), end = last + 5 * interval, i = 0; last < end; i++) {
        await write('a.cedar', `${PERMIT_ALL}// ${tries} ${i}`);
        pause = Math.max(pause, Date.now() - last);
        last = Date.now();
      }
      if (pause > interval / 2 && tries < 50) continue;
      expect(log.lines).toHaveLength(before);
      break;
    }
    await write('a.cedar', PERMIT_ALL + FORBID_ALL);
    const { digest } = await loadBundle(folder);
    await log.line((line) => line.fields['to'] === digest);
    expect(decide(active)).toBe('deny');
  });

  test('ends when it is stopped', async () => {
    const active = new ActivePolicy({ folder, logger: log });
    await active.reload();
    active.watch(5)();
    await write('b.cedar', FORBID_ALL);
    const other = new Log();
    const watcher = new ActivePolicy({ folder, logger: other });
    stop = watcher.watch(5);
    await other.line((line) => line.level === 'info');
    expect(log.lines).toHaveLength(1);
    expect(decide(active)).toBe('allow');
  });
});
