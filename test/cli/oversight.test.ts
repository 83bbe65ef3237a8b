/** `countersign oversight`, on a real ledger. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Oversight } from '../../src/action/oversight.js';
import { waits, yes } from '../ledger/approval-request-fixtures.js';
import { startLedger, type TestLedger } from '../ledger/support.js';
import { cli, errorOf } from './support.js';

let ledger: TestLedger;
let env: Record<string, string>;

beforeAll(async () => {
  ledger = await startLedger();
  env = { COUNTERSIGN_LEDGER_URL: ledger.url };
  const { approvalRequests } = ledger.ledger;
  for (let i = 0; i < 20; i++) {
    const ask = await waits(ledger.ledger, { tenant: 'acme', actionId: `a-${i}` });
    await approvalRequests.recordDecision(yes(ask, 'hasty\u202E@a.com'));
    if (i < 2) await approvalRequests.recordDecision(yes(ask, 'careful@example.com', { verdict: 'deny' }));
  }
});
afterAll(() => ledger?.stop());

describe('oversight', () => {
  test('shows yes rates and times by approver, role and rule, and what is worth a look', async () => {
    const { code, stdout, stderr } = await cli(['oversight', '--tenant', 'acme'], { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/approver .*decisions .*yes .*median/);
    expect(stdout).toMatch(/careful@example\.com +2 +0 %/);
    expect(stdout).toMatch(/dba +22 +91 %/);
    expect(stdout).toMatch(/orders-need-a-dba +22/);
    expect(stdout).toContain('said yes to all of 20');
    expect(stdout).toContain('under 5 seconds');
    expect(stdout).not.toContain('\u202E');
  });

  test('is the same as JSON', async () => {
    const { json } = await cli(['oversight', '--tenant', 'acme', '--since', '1d', '--json'], { env });
    const shown = json() as Oversight & { readonly from: string; readonly to: string; readonly baselineFrom: string };
    expect(shown.total).toMatchObject({ decisions: 22, approved: 20, denied: 2, before: { decisions: 0 } });
    expect(shown.approvers[0]).toMatchObject({ decisions: 20, yesRate: 1, findings: ['always_yes', 'fast'] });
    expect(Date.parse(shown.to) - Date.parse(shown.from)).toBeCloseTo(86_400_000, -2);
    expect(Date.parse(shown.from) - Date.parse(shown.baselineFrom)).toBeCloseTo(86_400_000, -2);
  });

  test('of a tenant where nobody decided says so', async () => {
    const { code, stdout } = await cli(['oversight', '--tenant', 'globex'], { env });
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'nobody decided anything in this period\n' });
  });

  test.each(['0d', '9999d', 'a while'])('over %j is refused', async (since) => {
    const ended = await cli(['oversight', '--tenant', 'acme', '--since', since, '--json'], { env });
    expect(ended.code).toBe(2);
    expect(errorOf(ended)).toMatchObject({ code: 'USAGE', field: '--since' });
  });
});
