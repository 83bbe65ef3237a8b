/** Files of recorded decisions: as they were written, or refused. */
import { describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import { packRecording, readRecording, writeRecording } from '../../src/decisions/file.js';
import { policyFromText } from '../../src/testing/index.js';
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
});
