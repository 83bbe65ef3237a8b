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

describe('where a rule asks for passkeys', () => {
  test('they are enrolled on the site of the config, and what is no good is refused', async () => {
    const passkeys = { rpId: 'approve.example', origins: ['https://approve.example'] };
    const { guarantees } = await proven({ passkeys }, ['passkeys', 'the-right-people-are-enough']);
    expect(guarantees.map(({ id, status }) => [id, status])).toEqual([
      ['the-right-people-are-enough', 'holds'],
      ...guarantees.slice(1).map(({ id }) => [id, 'holds']),
    ]);
    expect(guarantees).toHaveLength(7);
  }, 90_000);

  test('and the config has no site, the rule is told as one that asks in vain', async () => {
    const { guarantees, ok } = await proven({}, ['passkeys-are-enough', 'passkeys-are-of-one-site']);
    expect(ok).toBe(false);
    expect(guarantees).toMatchObject([
      { id: 'passkeys-are-of-one-site', status: 'not_applicable' },
      {
        id: 'passkeys-are-enough',
        status: 'broken',
        detail: expect.stringContaining('no worker takes one') as string,
        fix: expect.stringContaining('`passkeys`') as string,
      },
    ]);
  }, 60_000);
});

test('tokens are tried with the audience, the tenant and the claims of the config, and its bound of bodies is tried', async () => {
  const agents = [
    { issuer: 'https://id.example', audience: 'countersign', tenant: 'acme', claims: { roles: 'realm_access.roles' } },
  ];
  const gateway = { publicUrl: 'https://approve.example', port: 1, agents, limits: { bodyBytes: 2048 } };
  const { guarantees } = await proven({ gateway }, ['tokens-cannot-be-forged', 'bodies-are-bounded']);
  expect(guarantees).toMatchObject([
    { status: 'holds', detail: expect.stringContaining('a token for another audience (UNAUTHENTICATED)') as string },
    { status: 'holds', detail: expect.stringContaining('2048 bytes (INPUT_TOO_LARGE)') as string },
  ]);
}, 60_000);

test('calls over MCP are tried with a call that works, and the bound on requests with one that is tightened', async () => {
  const agents = [{ issuer: 'https://id.example', audience: 'countersign', tenant: 'acme' }];
  const ids = ['nobody-calls-unknown', 'scopes-bound-calls', 'calls-are-apart', 'requests-are-bounded'];
  const { guarantees } = await proven({ gateway: { agents, limits: { requestsPerMinute: 5 } } }, ids);
  expect(guarantees).toMatchObject([
    { status: 'holds', detail: expect.stringContaining('a call by nobody (UNAUTHENTICATED)') as string },
    { status: 'holds', detail: expect.stringContaining('a dry run of it (JSON-RPC -32602)') as string },
    { status: 'holds', detail: expect.stringContaining('(ACTION_CONFLICT)') as string },
    { status: 'holds', detail: expect.stringContaining('a tool call (RATE_LIMITED)') as string },
  ]);
  expect(guarantees[0]?.detail).toContain('a call under a token for another audience (UNAUTHENTICATED)');
}, 60_000);
