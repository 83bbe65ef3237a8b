/** `countersign policy`: the commands for whoever writes policies, on folders of their own and without any server. */
import { appendFile, mkdir, readdir, readFile, writeFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../support/root.js';
import { cli, errorOf, folder, running } from './support.js';

async function starter(): Promise<{ readonly cwd: string; readonly policies: string }> {
  const cwd = await folder();
  expect((await cli(['policy', 'init', 'policies'], { cwd })).code).toBe(0);
  return { cwd, policies: path.join(cwd, 'policies') };
}

describe('init', () => {
  test('makes a folder that lints clean and whose tests pass with full coverage', async () => {
    const { cwd, policies } = await starter();
    expect(await readdir(policies)).toEqual(await readdir(path.join(ROOT, 'policies/starter')));
    const [linted, tested] = await Promise.all([
      cli(['policy', 'lint', '--json'], { cwd }),
      cli(['policy', 'test', '--json', '--min-coverage', '100'], { cwd }),
    ]);
    expect([linted.code, tested.code]).toEqual([0, 0]);
    expect(linted.json()).toMatchObject({ ok: true, folder: 'policies', findings: [] });
    expect(tested.json()).toMatchObject({ ok: true, failed: 0, coveredPercent: 100, uncovered: [] });
  });

  test('replaces nothing, and then makes nothing', async () => {
    const cwd = await folder();
    await mkdir(path.join(cwd, 'p'));
    await writeFile(path.join(cwd, 'p/roles.cedar'), 'mine');
    const refused = await cli(['policy', 'init', 'p', '--json'], { cwd });
    expect([refused.code, errorOf(refused).code]).toEqual([2, 'FILES_EXIST']);
    expect(await readdir(path.join(cwd, 'p'))).toEqual(['roles.cedar']);
  });
});

describe('lint', () => {
  test('tells each finding with its place, and fails on errors, on warnings only where it is strict', async () => {
    const { cwd, policies } = await starter();
    await writeFile(path.join(policies, 'mine.cedar'), '// open\n@id("open") permit (principal, action, resource);\n');
    const open = await cli(['policy', 'lint', 'policies'], { cwd });
    expect(open.code).toBe(1);
    expect(open.stdout).toMatch(/^mine\.cedar:2:1 production-open open: every agent/m);
    expect(open.stdout).toContain('1 error, 0 warnings');
    const again =
      '@id("again") permit (principal in Countersign::Role::"admin_user", action == Countersign::Action::"READ", resource);\n';
    await writeFile(path.join(policies, 'mine.cedar'), again + again.replace('again', 'more'));
    expect((await cli(['policy', 'lint', 'policies'], { cwd })).code).toBe(0);
    expect((await cli(['policy', 'lint', 'policies', '--strict'], { cwd })).code).toBe(1);
    await writeFile(path.join(policies, 'mine.cedar'), 'permit (');
    const broken = await cli(['policy', 'lint', 'policies', '--json'], { cwd });
    expect(broken.code).toBe(1);
    expect(broken.json()).toMatchObject({ findings: [{ code: 'invalid', at: { file: 'mine.cedar', line: 1 } }] });
  });

  test('without a folder to be found says how to name one', async () => {
    const refused = await cli(['policy', 'lint', '--json'], { cwd: await folder() });
    expect([refused.code, errorOf(refused).fix]).toEqual([2, expect.stringContaining('countersign policy init')]);
  });

  test('holds rules against the tools of a config, whose schema it also writes', async () => {
    const { cwd, policies } = await starter();
    await writeFile(
      path.join(cwd, 'countersign.config.mjs'),
      `const tool = { name: 'payments', kind: 'http', environment: 'test', async close() {}, async execute() {},
  describe: () => [{ operation: 'refund', description: 'x', actionType: 'CALL_API', idempotent: false, fixed: { op: 'refund' },
    arguments: { type: 'object', properties: { amount: { type: 'integer' } }, additionalProperties: false } }] };
export default { policies: './policies', tools: [tool] };\n`,
    );
    const printed = await cli(['policy', 'schema'], { cwd });
    expect(printed.stdout).toContain('amount?: Long,');
    expect(await readFile(path.join(policies, 'schema.cedarschema'), 'utf8')).not.toContain('amount');
    for (const changed of [true, false]) {
      const written = await cli(['policy', 'schema', '--write', '--json'], { cwd });
      expect(written.json()).toMatchObject({ changed, written: changed });
    }
    // A folder without a schema gets a whole one: the same.
    const schema = path.join(policies, 'schema.cedarschema');
    const whole = await readFile(schema, 'utf8');
    await rm(schema);
    expect((await cli(['policy', 'schema', '--write', '--json'], { cwd })).json()).toMatchObject({ written: true });
    expect(await readFile(schema, 'utf8')).toBe(whole);
    const nowhere = await cli(['policy', 'schema', './nowhere', '--write', '--json'], { cwd });
    expect(errorOf(nowhere)).toMatchObject({ code: 'USAGE', field: 'folder' });
    await appendFile(
      path.join(policies, 'roles.cedar'),
      '\n@id("pays") permit (principal in Countersign::Role::"p", action, resource == Countersign::Tool::"paymnts");\n',
    );
    const linted = await cli(['policy', 'lint', '--json'], { cwd });
    expect(linted.json()).toMatchObject({
      findings: expect.arrayContaining([
        expect.objectContaining({
          code: 'unknown-tool',
          id: 'pays',
          at: { file: 'roles.cedar', line: 57, column: 97 },
        }),
      ]) as unknown,
    });
  });
});

describe('test', () => {
  test('tells what differs, which rules never decided, and writes JUnit', async () => {
    const { cwd, policies } = await starter();
    await appendFile(
      path.join(policies, 'roles.cedar'),
      '\n@id("new") permit (principal in Countersign::Role::"n", action, resource);\n',
    );
    await writeFile(
      path.join(policies, 'tests/mine.yaml'),
      'tests:\n  - name: a reader writes\n    agent: { roles: [read_only_user] }\n    actionType: WRITE\n    expect: { decision: allow }\n',
    );
    const failed = await cli(['policy', 'test', '--junit', 'results.xml'], { cwd });
    expect(failed.code).toBe(1);
    expect(failed.stdout).toContain('✗ a reader writes  tests/mine.yaml:2:5\n    decision: expected allow, got deny');
    expect(failed.stdout).toContain('14 of 15 tests pass');
    expect(failed.stdout).toMatch(/decided in no test:\n {2}never {2}new {2}roles\.cedar:57:1/);
    expect(await readFile(path.join(cwd, 'results.xml'), 'utf8')).toContain('tests="15" failures="1"');
    await writeFile(
      path.join(policies, 'tests/mine.yaml'),
      'tests:\n  - { name: n, agent: { roles: [x] }, expect: { decision: deny } }\n',
    );
    expect((await cli(['policy', 'test', '--min-coverage', '90'], { cwd })).code).toBe(0);
    expect((await cli(['policy', 'test', '--min-coverage', '91'], { cwd })).code).toBe(1);
  });

  test('watches the folder and runs again when it changes', async () => {
    const { cwd, policies } = await starter();
    const seen: string[] = [];
    const { child, ended } = await running(['policy', 'test', '--watch'], { env: {}, cwd }, /14 of 14 tests pass/);
    const again = new Promise<void>((resolve) => {
      child.stdout?.on('data', (chunk: Buffer) => {
        seen.push(chunk.toString());
        if (seen.join('').includes('14 of 15 tests pass')) resolve();
      });
    });
    await writeFile(path.join(policies, 'tests/mine.yaml'), 'tests:\n  - { name: n, expect: { decision: allow } }\n');
    await again;
    child.kill('SIGINT');
    expect((await ended).code).toBe(0);
  });
});

test('fmt changes the layout and nothing else; --check only tells', async () => {
  const { cwd, policies } = await starter();
  const digest = async () => (await cli(['policy', 'test', '--json'], { cwd })).json();
  const before = await readFile(path.join(policies, 'roles.cedar'), 'utf8');
  const checked = await cli(['policy', 'fmt', '--check', '--json'], { cwd });
  expect([checked.code, await readFile(path.join(policies, 'roles.cedar'), 'utf8')]).toEqual([1, before]);
  expect((await cli(['policy', 'fmt'], { cwd })).code).toBe(0);
  expect((await cli(['policy', 'fmt', '--check'], { cwd })).code).toBe(0);
  expect(await digest()).toMatchObject({ ok: true });
  await writeFile(path.join(policies, 'broken.cedar'), 'permit (');
  await writeFile(path.join(policies, 'roles.cedar'), before);
  expect((await cli(['policy', 'fmt'], { cwd })).code).toBe(1);
  expect(await readFile(path.join(policies, 'roles.cedar'), 'utf8')).toBe(before);
});

describe('explain', () => {
  test('a file with what a test gives, or with recorded facts', async () => {
    const { cwd } = await starter();
    const given = {
      agent: { roles: ['admin_user'] },
      tool: { environment: 'production' },
      actionType: 'WRITE',
      preview: { rows: 500, targets: ['orders'] },
    };
    await writeFile(path.join(cwd, 'proposal.json'), JSON.stringify(given));
    const told = await cli(['policy', 'explain', 'proposal.json'], { cwd });
    expect(told.code).toBe(0);
    expect(told.stdout).toMatch(/^require_approval {2}production-large-change/m);
    expect(told.stdout).toMatch(/^● soft forbid production-large-change .* determined it$/m);
    expect(told.stdout).toContain('allow            if it touches 100 rows');
    const first = await cli(['policy', 'explain', 'proposal.json', '--json'], { cwd });
    await writeFile(path.join(cwd, 'recorded.json'), first.stdout);
    const again = await cli(['policy', 'explain', 'recorded.json', '--json'], { cwd });
    expect(again.stdout).toBe(first.stdout);
  });

  test('what is neither says what it should be', async () => {
    const { cwd } = await starter();
    await writeFile(path.join(cwd, 'proposal.json'), '{"rows": 5}');
    const refused = await cli(['policy', 'explain', 'proposal.json', '--json'], { cwd });
    expect([refused.code, errorOf(refused).code]).toEqual([2, 'INVALID_PROPOSAL']);
  });
});
