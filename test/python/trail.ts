/** The standalone verifiers in Python, on exported data in a clean folder: they say of every tampering what the runtime says, and share no code with it. */
import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exportLines } from '../../src/trail/export-lines.js';
import { parseTrailKeys } from '../../src/trail/keys.js';
import { proveEntry, proveGrowth, type TrailProof } from '../../src/trail/proofs.js';
import { verifyTrail } from '../../src/trail/verify-lines.js';
import { collect } from '../ledger/support.js';
import { virtualEnvironment } from '../support/python.js';
import { ROOT } from '../support/root.js';
import { TAMPERINGS, type Presented } from '../trail/tampering.js';
import { concludeAction, startTrailWorld, TENANT, useGrant, type TrailWorld } from '../trail/world.js';

const VERIFIERS = path.join(ROOT, 'clients/verifier');
const PROGRAMS = ['verify_trail.py', 'verify_proof.py', 'trail_signatures.py'];

let world: TrailWorld;
let honest: Presented;
let folder: string;
let python: string;
/** Runs the two again and again. */
let interpreter: ChildProcessByStdio<Writable, Readable, null>;
let printed: AsyncIterator<string>;
let ended: Promise<unknown>;

/** Runs each program that a line names from its file, as Python does when it is given it, and prints what it printed as a line. */
const ONE_AFTER_THE_OTHER = `
import contextlib, io, json, runpy, sys
for line in sys.stdin:
    sys.argv = json.loads(line)
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        runpy.run_path(sys.argv[0], run_name="__main__")
    print(json.dumps(out.getvalue()), flush=True)
`;

beforeAll(async () => {
  const requirements = fileURLToPath(new URL('requirements.txt', import.meta.url));
  const programs = await virtualEnvironment('python-client', requirements, 'check:python');
  python = path.join(programs, 'python');
  world = await startTrailWorld();
  honest = { lines: world.lines, keys: world.keys, anchors: world.anchors };
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-verifier-'));
  for (const name of PROGRAMS) await copyFile(path.join(VERIFIERS, name), path.join(folder, name));
  interpreter = spawn(python, ['-B', '-c', ONE_AFTER_THE_OTHER], {
    cwd: folder,
    env: {},
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  ended = once(interpreter, 'close');
  printed = createInterface({ input: interpreter.stdout })[Symbol.asyncIterator]();
}, 600_000);
afterAll(async () => {
  interpreter?.stdin.end();
  await ended;
  await world?.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Report {
  readonly ok: boolean;
  readonly problems: readonly { readonly code: string; readonly at: number }[];
}

type Printed = Report & Record<string, unknown>;

let running: Promise<unknown> = Promise.resolve();

/** Runs one of the two in the folder, with nothing of this process's environment. Most of what a process of its own takes is its start. */
function run(...words: readonly string[]): Promise<Printed> {
  const next = running.then(async (): Promise<Printed> => {
    interpreter.stdin.write(`${JSON.stringify(words)}\n`);
    const { value, done } = await printed.next();
    if (done === true) throw new Error(`Python ended while it ran ${words.join(' ')}: it says above why.`);
    return JSON.parse(JSON.parse(value) as string) as Printed;
  });
  running = next.catch(() => undefined);
  return next;
}

/** The same in a process of its own. */
async function runAlone(...words: readonly string[]): Promise<Printed> {
  const options = { cwd: folder, env: {} };
  const text = await new Promise<string>((resolve, reject) => {
    execFile(python, ['-B', ...words], options, (error, stdout, stderr) => {
      if (stdout === '') reject(error ?? new Error(stderr));
      else resolve(stdout);
    });
  });
  return JSON.parse(text) as Printed;
}

/** Each tampering has files of its own: several run at once. */
async function verified({ lines, keys, anchors }: Presented, name: string, by = run): Promise<Printed> {
  const files = [`${name}.jsonl`, `${name}.keys.json`, `${name}.anchors.jsonl`] as const;
  await writeFile(path.join(folder, files[0]), `${lines.join('\n')}\n`);
  await writeFile(path.join(folder, files[1]), JSON.stringify(keys));
  await writeFile(
    path.join(folder, files[2]),
    anchors.map((jws) => `${JSON.stringify({ tenant: TENANT, jws })}\n`).join(''),
  );
  return by('verify_trail.py', files[0], '--keys', files[1], '--anchors', files[2], '--json');
}

async function ours({ lines, keys, anchors }: Presented): Promise<Report> {
  const given = async function* (): AsyncGenerator<string> {
    yield* lines;
  };
  return verifyTrail(given(), {
    keys: await parseTrailKeys(JSON.stringify(keys), 'keys'),
    anchors: anchors.map((jws) => ({ jws })),
  });
}

const placesOf = ({ problems }: Report): readonly (readonly [string, number])[] =>
  problems.map(({ code, at }) => [code, at]);

test('they are short, and import nothing but the standard library and cryptography', async () => {
  for (const name of PROGRAMS) {
    const text = await readFile(path.join(VERIFIERS, name), 'utf8');
    expect(text.split('\n').length).toBeLessThan(300);
    const imported = [...text.matchAll(/^(?:import|from) ([\w.]+)/gm)].map(([, module = '']) => module.split('.')[0]);
    const allowed = [
      'argparse',
      'base64',
      'cryptography',
      'datetime',
      'hashlib',
      'json',
      're',
      'sys',
      'trail_signatures',
    ];
    expect(imported.filter((module) => !allowed.includes(module as string))).toEqual([]);
  }
});

test('an honest trail verifies, as it does here', async () => {
  const report = await verified(honest, 'honest', runAlone);
  expect(await verified(honest, 'honest')).toEqual(report);
  expect(report).toEqual({
    ok: true,
    tenant: TENANT,
    entries: 12,
    checkpoints: 3,
    covered: 8,
    withheld: 0,
    anchors: 3,
    openGrants: [],
    problems: [],
    timestampsUnchecked: 0,
  });
});

test('grants whose action has no receipt are listed, as here', async () => {
  const tenant = 'slow';
  const { ledger, first } = world;
  const [hangs, ends] = [await useGrant(ledger, 'hangs', tenant), await useGrant(ledger, 'ends', tenant)];
  await ledger.trail.enterGrants(tenant, [hangs.jti, ends.jti]);
  await concludeAction(ledger, first, 'ends', { tenant, jti: ends.jti });
  const lines = (await collect(exportLines(ledger, tenant))).map((line) => JSON.stringify(line));
  const open = { ...honest, lines, anchors: [] };
  const report = await verified(open, 'open');
  expect(report).toMatchObject({ ok: true, openGrants: [{ entry: 1, actionId: 'hangs', jti: hangs.jti }] });
  expect(await ours(open)).toMatchObject({ ok: true, openGrants: report['openGrants'] });
});

test('the same text is read alike: numbers, and what is none', async () => {
  const variants: readonly ((line: string) => string)[] = [
    (line) => line.replace('"seq":2,', '"seq":2.0,'),
    (line) => line.replace('"seq":2,', '"seq":20e-1,'),
    (line) => line.replace('"seq":2,', '"seq":1,"\\u0073eq":2,'),
    (line) => line.replace('"seq":2,', '"seq":2,"more":NaN,'),
    (line) => line.replace('"seq":2,', '"seq":2,"__proto__":1,'),
    (line) => line.replace('"seq":2,', '"seq":2.5,'),
  ];
  const differing: number[] = [];
  for (const [n, change] of variants.entries()) {
    const lines = honest.lines.map((line) => (line.startsWith('{"type":"entry","seq":2,') ? change(line) : line));
    expect(lines).not.toEqual(honest.lines);
    const read = { ...honest, lines };
    const [said, here] = [placesOf(await verified(read, `variant-${n}`)), placesOf(await ours(read))];
    if (JSON.stringify(said) !== JSON.stringify(here)) differing.push(n);
  }
  expect(differing).toEqual([]);
});

test('a line of an anchor that is none is told by its number', async () => {
  await verified(honest, 'anchorless');
  const lines = honest.anchors.map((jws) => JSON.stringify({ tenant: TENANT, jws }));
  await writeFile(path.join(folder, 'cut.anchors.jsonl'), `${lines[0]}\n{"tenant":"ac\n\n[1]\n${lines[1]}\n`);
  const files = ['anchorless.jsonl', '--keys', 'anchorless.keys.json', '--anchors', 'cut.anchors.jsonl'];
  const report = await run('verify_trail.py', ...files, '--json');
  expect(placesOf(report)).toEqual([2, 3, 4].map((n) => ['anchor_signature', n]));
  expect(report['anchors']).toBe(2);
});

test('time stamps are counted, and it is said that nobody checked them', async () => {
  await verified(honest, 'stamped');
  const lines = honest.anchors.map((jws, n) =>
    JSON.stringify({ tenant: TENANT, jws, ...(n === 0 ? {} : { timestamp: 'AAAA' }) }),
  );
  await writeFile(path.join(folder, 'stamped.anchors.jsonl'), `${lines.join('\n')}\n`);
  const files = ['stamped.jsonl', '--keys', 'stamped.keys.json', '--anchors', 'stamped.anchors.jsonl'];
  expect(await run('verify_trail.py', ...files, '--json')).toMatchObject({
    ok: true,
    anchors: 3,
    timestampsUnchecked: 2,
  });
});

describe.concurrent('finds the same, at the same places:', { timeout: 120_000 }, () => {
  test.each(TAMPERINGS.map((tampering, n) => [tampering.name, tampering, n] as const))(
    '%s',
    async (_, { tamper, found }, n) => {
      const tampered = await tamper(honest, world);
      const report = await verified(tampered, `tampered-${n}`);
      expect(report.ok).toBe(false);
      expect(placesOf(report)[0]).toEqual(found);
      expect(placesOf(report)).toEqual(placesOf(await ours(tampered)));
    },
  );
});

test('proofs of entries and of growth verify, and none that was changed does', async () => {
  const said = async (proof: TrailProof): Promise<unknown> => {
    await writeFile(path.join(folder, 'proof.json'), JSON.stringify(proof));
    return run('verify_proof.py', 'proof.json', '--keys', 'honest.keys.json');
  };
  const swapped = await proveEntry(world.ledger, TENANT, 3);
  for (const seq of [1, 5, 8]) {
    const proof = await proveEntry(world.ledger, TENANT, seq);
    expect(await said({ ...proof, evidence: (swapped as { evidence: string }).evidence } as TrailProof)).toMatchObject({
      ok: false,
    });
    expect(await said(proof)).toEqual({ ok: true, type: 'inclusion', tenant: TENANT, seq, size: 8 });
    expect(await said({ ...proof, proof: proof.proof.toReversed() })).toMatchObject({ ok: false });
    expect(await said({ ...proof, proof: proof.proof.slice(1) })).toMatchObject({ ok: false });
  }
  for (const [from, to] of [
    [3, 4],
    [3, 8],
    [4, 8],
    [8, 8],
  ] as const) {
    const proof = await proveGrowth(world.ledger, TENANT, from, to);
    expect(await said(proof)).toEqual({ ok: true, type: 'consistency', tenant: TENANT, from, to });
    expect(await said({ ...proof, proof: [...proof.proof, '00'.repeat(32)] })).toMatchObject({ ok: false });
  }
});
