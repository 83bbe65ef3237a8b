/** Rules that ask for passkeys, and a gateway's issuers: tried where the config has them, and told where it cannot work. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { CountersignConfig } from '../../src/config/config.js';
import { prove } from '../../src/prove/prove.js';
import type { ProvenReport } from '../../src/prove/report.js';
import { neutral } from '../../src/prove/scratch/servers.js';
import { postgres } from '../../src/tools/index.js';
import { STARTER } from '../support/stack.js';

const RULES = `
@id("anything") permit (principal in Countersign::Role::"admin_user", action == Countersign::Action::"WRITE", resource);
@id("keyed") @reason("many rows need a passkey") @approval("dba, quorum=2, passkey")
forbid (principal, action == Countersign::Action::"WRITE", resource) when { context.rows > 1 };`;

let work: string;
let tool: ReturnType<typeof postgres>;
beforeAll(async () => {
  work = await mkdtemp(path.join(os.tmpdir(), 'countersign-ways-in-'));
  const policies = path.join(work, 'policies');
  await cp(STARTER, policies, { recursive: true });
  await rm(path.join(policies, 'production.cedar'));
  await rm(path.join(policies, 'tests'), { recursive: true });
  await rm(path.join(policies, 'untrusted-sources.cedar'));
  await writeFile(path.join(policies, 'keyed.cedar'), RULES);
  await writeFile(path.join(work, 'schema.sql'), 'CREATE TABLE notes (id int PRIMARY KEY, words text NOT NULL);');
  tool = postgres({ name: 'notes-db', environment: 'production', url: 'postgres://nobody@127.0.0.1:1/none' });
});
afterAll(async () => {
  await tool.close();
  await rm(work, { recursive: true, force: true });
});

function proven(config: Partial<CountersignConfig>, only: readonly string[]): Promise<ProvenReport> {
  return prove({
    config: { policies: path.join(work, 'policies'), tools: [tool], ...config },
    configFile: path.join(work, 'countersign.config.mjs'),
    env: neutral(process.env),
    developmentKeys: path.join(work, 'keys.json'),
    tenant: 'countersign-prove',
    scratchDatabase: inject('postgresUrl'),
    scratchTemporal: inject('temporalAddress'),
    sandboxes: {},
    schemas: { 'notes-db': path.join(work, 'schema.sql') },
    only,
    log: () => {},
    told: () => {},
  });
}

test('where a rule asks for passkeys they are enrolled on the site of the config, and what is no good is refused', async () => {
  const passkeys = { rpId: 'approve.example', origins: ['https://approve.example'] };
  const { guarantees } = await proven({ passkeys }, ['passkeys', 'the-right-people-are-enough']);
  expect(guarantees.map(({ id, status }) => [id, status])).toEqual([
    ['the-right-people-are-enough', 'holds'],
    ...guarantees.slice(1).map(({ id }) => [id, 'holds']),
  ]);
  expect(guarantees).toHaveLength(7);
}, 90_000);

describe('where a gateway takes tokens, and the config has no site for passkeys', () => {
  let report: ProvenReport;
  const resultOf = (id: string) => report.guarantees.find((one) => one.id === id);

  beforeAll(async () => {
    const issuer = { issuer: 'https://id.example', audience: 'countersign', tenant: 'acme' };
    const gateway = {
      publicUrl: 'https://approve.example',
      port: 1,
      agents: [{ ...issuer, claims: { roles: 'realm_access.roles' } }],
      limits: { bodyBytes: 2048, requestsPerMinute: 5 },
    };
    report = await proven({ gateway }, [
      'passkeys-are-enough',
      'passkeys-are-of-one-site',
      'tokens-cannot-be-forged',
      'bodies-are-bounded',
      'nobody-calls-unknown',
      'scopes-bound-calls',
      'calls-are-apart',
      'requests-are-bounded',
    ]);
  }, 90_000);

  test('a rule that asks for passkeys is told as one that asks in vain', () => {
    expect(report.ok).toBe(false);
    expect(resultOf('passkeys-are-of-one-site')).toMatchObject({ status: 'not_applicable' });
    expect(resultOf('passkeys-are-enough')).toMatchObject({
      status: 'broken',
      detail: expect.stringContaining('no worker takes one') as string,
      fix: expect.stringContaining('`passkeys`') as string,
    });
  });

  test.each([
    // Tokens are tried with the audience, the tenant and the claims of the config.
    ['tokens-cannot-be-forged', 'a token for another audience (UNAUTHENTICATED)'],
    ['bodies-are-bounded', '2048 bytes (INPUT_TOO_LARGE)'],
    // Calls over MCP are tried with one that works.
    ['nobody-calls-unknown', 'a call by nobody (UNAUTHENTICATED)'],
    ['nobody-calls-unknown', 'a call under a token for another audience (UNAUTHENTICATED)'],
    ['scopes-bound-calls', 'a dry run of it (JSON-RPC -32602)'],
    ['calls-are-apart', '(ACTION_CONFLICT)'],
    // With a bound that is tightened.
    ['requests-are-bounded', 'a tool call (RATE_LIMITED)'],
  ])('%s: tried with %s', (id, detail) => {
    expect(resultOf(id)).toMatchObject({ status: 'holds', detail: expect.stringContaining(detail) as string });
  });
});
