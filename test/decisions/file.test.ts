/** Files of recorded decisions: as they were written, or refused. */
import { describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import { packRecording, readRecording, withSignature, writeRecording } from '../../src/decisions/file.js';
import { policyFromText } from '../../src/testing/index.js';
import { generateKeyringFile, issueApprover, parseKeyring, signFinding, verifyFinding } from '../../src/trust/index.js';
import { PERMIT_ALL } from '../policy/facts.js';
import { recorded } from '../policy/backtest/recording.js';

const policy = policyFromText({ 'a.cedar': PERMIT_ALL });
const records = recorded(policy, [
  { id: 'a', at: 0, input: { note: 'naïve, "quoted" \u{1F600}' } },
  { id: 'b', at: 1 },
]);
const recording = { records, policies: [policy.bundle] };
const { text, digest } = writeRecording(recording, { since: '2025-01-01' });

function refusal(bytes: Uint8Array): CountersignError {
  try {
    readRecording(bytes, 'x.jsonl');
  } catch (error) {
    if (error instanceof CountersignError) return error;
    throw error;
  }
  throw new Error('it was read');
}

describe('a file of decisions', () => {
  test('is read as it was written, compressed or not', () => {
    for (const name of ['x.jsonl', 'x.jsonl.gz']) {
      const read = readRecording(packRecording(text, name), name);
      expect(read).toEqual({ records, policies: [{ digest: policy.digest, files: policy.bundle.files }], digest });
    }
    expect(writeRecording(recording, { since: '2025-01-01' }).text).toBe(text);
  });

  test('with any one byte changed is refused, and so is one that was cut', () => {
    const bytes = Buffer.from(text, 'utf8');
    for (let at = 0; at < bytes.length; at += 41) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(refusal(changed).code, `byte ${at}`).toBe('INVALID_INPUT');
    }
    const lines = text.split('\n');
    for (const cut of [
      lines.slice(0, -2).join('\n') + '\n',
      text.slice(0, -1),
      [...lines.slice(0, 2), ...lines.slice(3)].join('\n'),
    ]) {
      expect(refusal(Buffer.from(cut)).code).toBe('INVALID_INPUT');
    }
    expect(refusal(Buffer.from(text.replace('"id":"test-agent"', '"id":"best-agent"')))).toMatchObject({
      field: 'x.jsonl:3',
      message: expect.stringContaining('not as it was written'),
    });
    expect(refusal(packRecording(text, 'x.gz').slice(0, 100)).code).toBe('INVALID_INPUT');
  });

  test('that a person signed is caught also where whoever changed it made its digests anew', async () => {
    const keyring = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'test');
    const ann = await issueApprover(keyring, { id: 'ann', tenant: 'acme', roles: ['auditor'] });
    const written = writeRecording(recording);
    const finding = { kind: 'export', digest: written.digest, decisions: 2 } as const;
    const signed = await signFinding(ann, finding);
    const read = readRecording(Buffer.from(withSignature(written, signed)), 'x.jsonl');
    expect(read).toMatchObject({ digest: written.digest, signed });
    expect(await verifyFinding(keyring, signed, finding)).toMatchObject({ by: 'ann', tenant: 'acme' });

    const [first, ...others] = records as [(typeof records)[0], ...typeof records];
    const forged = writeRecording({ ...recording, records: [{ ...first, status: 'failed' }, ...others] });
    const { digest: other, records: found } = readRecording(Buffer.from(withSignature(forged, signed)), 'x.jsonl');
    const about = (one: typeof other) => ({ kind: 'export', digest: one, decisions: found.length }) as const;
    await expect(verifyFinding(keyring, signed, about(other))).rejects.toMatchObject({ code: 'FINDING_INVALID' });
    const foreign = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'foreign');
    const mallory = await issueApprover(foreign, { id: 'ann', tenant: 'acme', roles: ['auditor'] });
    const again = await signFinding(mallory, about(other));
    await expect(verifyFinding(keyring, again, about(other))).rejects.toMatchObject({ code: 'FINDING_INVALID' });
    const ahead = await signFinding(ann, finding, new Date(Date.now() + 3_600_000));
    await expect(verifyFinding(keyring, ahead, finding)).rejects.toMatchObject({ code: 'FINDING_INVALID' });
    expect(refusal(Buffer.from(withSignature(written, signed).replace('"signed":"ey', '"signed":"fy'))).code).toBe(
      'INVALID_INPUT',
    );
    expect(refusal(Buffer.from(withSignature({ ...written, text: '' }, signed))).code).toBe('INVALID_INPUT');
  });
});
