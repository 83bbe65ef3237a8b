/** Proposals: what is taken, what identifies one, and what an agent is told of one that is not taken. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { dryRunDigest } from '../../src/action/dry-run.js';
import { expectedWithinMs } from '../../src/action/expect.js';
import {
  parseProposal,
  proposalDigest,
  signedProposalDigest,
  wordsOf,
  zodError,
  type Proposal,
} from '../../src/action/proposal.js';
import { isRecordedProposal, isRedacted } from '../../src/action/redacted.js';
import { digest } from '../../src/action/json.js';
import { sagaDigest } from '../../src/action/saga.js';

const PROPOSAL: Proposal = { actionId: 'refund-42', tool: 'payments', input: { amount: 5 } };
const WORDS = {
  reasoning: 'The customer asked.',
  claims: { environment: 'test' },
  from: [{ source: 'email:1', trust: 'untrusted' as const }],
  revises: 'refund-41',
  traceId: 'ticket-7',
};
const named = (count: number) => Array.from({ length: count }, (_, at) => ({ name: `n${at}`, cel: 'true' }));
const sources = (count: number) => Array.from({ length: count }, () => ({ source: 's', trust: 'trusted' as const }));

describe('a proposal is taken', () => {
  test.each<[string, object]>([
    ['as short as it can be', { actionId: 'a', tool: 't', input: {} }],
    ['with the longest names', { actionId: 'a'.repeat(128), tool: 't'.repeat(63) }],
    ['with every character of an id', { actionId: 'aZ09._:-' }],
    ['with a promise in one line', { expect: 'x'.repeat(4096) }],
    ['with a promise that takes time', { expect: { cel: 'true', withinMs: 600_000 } }],
    ['with twenty promises', { expect: named(20) }],
    ['with an outcome in words', { expectedOutcome: '👋'.repeat(2000) }],
    ['with the longest reasoning, and with none', { reasoning: 'x'.repeat(16_384) }],
    ['with empty reasoning', { reasoning: '' }],
    ['with claims', { claims: { ['n'.repeat(64)]: 'v'.repeat(256), '': '' } }],
    ['with twenty sources', { from: sources(20) }],
    ['with the longest name of a source', { from: [{ source: 's'.repeat(256), trust: 'untrusted' }] }],
    ['to be undone on a mismatch', { onMismatch: 'compensate' }],
    ['with all its words', WORDS],
  ])('%s', (_what, more) => {
    const proposal = { ...PROPOSAL, ...more };
    expect(parseProposal(proposal)).toEqual(proposal);
  });
});

describe('a proposal is refused with the field', () => {
  test.each<[string, object, string]>([
    ['an empty id', { actionId: '' }, 'actionId'],
    ['an id that is too long', { actionId: 'a'.repeat(129) }, 'actionId'],
    ['an id that begins with a dot', { actionId: '.a' }, 'actionId'],
    ['an id with a slash', { actionId: 'a/b' }, 'actionId'],
    ['an id with a line below it', { actionId: 'a\n' }, 'actionId'],
    ['a tool that is too long', { tool: 't'.repeat(64) }, 'tool'],
    ['a tool with a colon', { tool: 'a:b' }, 'tool'],
    ['an input that is a list', { input: [] }, 'input'],
    ['no input', { input: null }, 'input'],
    ['an empty promise', { expect: '' }, 'expect'],
    ['a promise that is too long', { expect: 'x'.repeat(4097) }, 'expect'],
    ['a promise for too long', { expect: { cel: 'true', withinMs: 600_001 } }, 'expect.withinMs'],
    ['a promise for less than no time', { expect: { cel: 'true', withinMs: -1 } }, 'expect.withinMs'],
    ['no promise in a list', { expect: [] }, 'expect'],
    ['twenty-one promises', { expect: named(21) }, 'expect'],
    ['two promises of one name', { expect: [...named(1), ...named(1)] }, 'expect'],
    ['a promise whose name has a dot', { expect: [{ name: 'a.b', cel: 'true' }] }, 'expect.0.name'],
    ['an empty outcome', { expectedOutcome: '' }, 'expectedOutcome'],
    ['an outcome that is too long', { expectedOutcome: 'x'.repeat(2001) }, 'expectedOutcome'],
    ['reasoning that is too long', { reasoning: 'x'.repeat(16_385) }, 'reasoning'],
    ['a claim that is too long', { claims: { a: 'v'.repeat(257) } }, 'claims.a'],
    ['no source in a list', { from: [] }, 'from'],
    ['twenty-one sources', { from: sources(21) }, 'from'],
    ['a source of no name', { from: [{ source: '', trust: 'trusted' }] }, 'from.0.source'],
    ['a source of another trust', { from: [{ source: 's', trust: 'maybe' }] }, 'from.0.trust'],
    ['another fate on a mismatch', { onMismatch: 'retry' }, 'onMismatch'],
    ['a member of another name', { approve: true }, ''],
  ])('%s', (_what, more, field) => {
    const refused = expect.objectContaining({
      code: 'INVALID_PROPOSAL',
      field: field === '' ? 'proposal' : `proposal.${field}`,
      expected: expect.stringMatching(/./) as string,
      fix: 'Correct the field named and propose again.',
    }) as Error;
    expect(() => parseProposal({ ...PROPOSAL, ...more })).toThrow(refused);
  });

  test('one that is larger than is carried, by its bytes', () => {
    const withBytes = (bytes: number) => {
      const empty = Buffer.byteLength(JSON.stringify({ ...PROPOSAL, input: { text: '' } }));
      return { ...PROPOSAL, input: { text: 'x'.repeat(bytes - empty) } };
    };
    expect(() => parseProposal(withBytes(256 * 1024))).not.toThrow();
    const refused = expect.objectContaining({ code: 'INPUT_TOO_LARGE', field: 'proposal' }) as Error;
    expect(() => parseProposal(withBytes(256 * 1024 + 1))).toThrow(refused);
  });

  test('one that is no JSON', () => {
    const refused = expect.objectContaining({ code: 'INVALID_NUMBER', field: 'proposal.input.amount' }) as Error;
    expect(() => parseProposal({ ...PROPOSAL, input: { amount: Number.NaN } })).toThrow(refused);
  });
});

describe('a proposal is the same action', () => {
  test('in whatever words, from wherever, and however its default is written', () => {
    const same = [PROPOSAL, { ...PROPOSAL, ...WORDS }, { ...PROPOSAL, onMismatch: 'keep' as const }];
    expect(new Set(same.map(proposalDigest)).size).toBe(1);
  });

  test('only with the same id, tool, input, promise and fate on a mismatch', () => {
    const others: Proposal[] = [
      PROPOSAL,
      { ...PROPOSAL, actionId: 'refund-43' },
      { ...PROPOSAL, tool: 'payouts' },
      { ...PROPOSAL, input: { amount: 6 } },
      { ...PROPOSAL, expect: 'true' },
      { ...PROPOSAL, expectedOutcome: 'true' },
      { ...PROPOSAL, onMismatch: 'compensate' },
    ];
    expect(new Set(others.map(proposalDigest)).size).toBe(others.length);
  });

  test('and what is signed is all of it, with the words that people read', () => {
    const all = [PROPOSAL, ...Object.entries(WORDS).map(([name, value]) => ({ ...PROPOSAL, [name]: value }))];
    expect(new Set(all.map(signedProposalDigest)).size).toBe(all.length);
    expect(wordsOf({ ...PROPOSAL, ...WORDS })).toEqual(WORDS);
    expect(Object.keys(wordsOf({ ...PROPOSAL, reasoning: 'x' }))).toEqual(['reasoning']);
  });

  test('and no signature of one passes for that of a dry run or of a saga', () => {
    const manifest = { traceId: 't', steps: [{ actionId: 'refund-42', digest: proposalDigest(PROPOSAL) }] };
    const digests = [proposalDigest(PROPOSAL), dryRunDigest(PROPOSAL), sagaDigest(manifest)];
    expect(new Set(digests).size).toBe(3);
    expect(dryRunDigest({ ...PROPOSAL, reasoning: 'x' })).not.toBe(dryRunDigest(PROPOSAL));
    expect(sagaDigest({ ...manifest, traceId: 'u' })).not.toBe(sagaDigest(manifest));
    expect(sagaDigest({ ...manifest, steps: [] })).not.toBe(sagaDigest(manifest));
    // What else a step says of itself is not signed.
    const more = manifest.steps.map((step) => ({ ...step, tool: 'payments' }));
    expect(sagaDigest({ ...manifest, steps: more })).toBe(sagaDigest(manifest));
  });
});

describe('the proposal that an action stands for', () => {
  const redacted = { ...PROPOSAL, input: { amount: 'redacted:AAAAAAAAAAAAAAAAAAAAAA' } };

  test('is told by its own digest', () => {
    expect(isRecordedProposal(PROPOSAL, { digest: proposalDigest(PROPOSAL) })).toBe(true);
    expect(isRecordedProposal(PROPOSAL, { digest: proposalDigest(PROPOSAL), outcome: {} })).toBe(true);
    expect(isRecordedProposal(PROPOSAL, { digest: proposalDigest(redacted), outcome: null })).toBe(false);
  });

  test('and where it was redacted, by the digest in the outcome alone', () => {
    const outcome = { redacted: { proposal: digest(redacted) } } as never;
    expect(isRecordedProposal(redacted, { digest: proposalDigest(PROPOSAL), outcome })).toBe(true);
    expect(isRecordedProposal(PROPOSAL, { digest: proposalDigest(PROPOSAL), outcome })).toBe(false);
  });

  test('and one that has no digest is none', () => {
    const broken = { ...PROPOSAL, input: { amount: Number.NaN } };
    expect(isRecordedProposal(broken, { digest: proposalDigest(PROPOSAL) })).toBe(false);
  });

  test.each([
    ['redacted:AAAAAAAAAAAAAAAAAAAAAA', true],
    ['redacted:AAAAAAAAAAAAAAAAAAAAA', false],
    ['redacted:AAAAAAAAAAAAAAAAAAAAAAA', false],
    ['xredacted:AAAAAAAAAAAAAAAAAAAAAA', false],
    ['redacted:AAAAAAAAAAAAAAAAAAAAA+', false],
    [7, false],
  ])('%j stands for a redacted value: %s', (value, is) => {
    expect(isRedacted(value)).toBe(is);
  });
});

test.each([
  [undefined, 0],
  ['true', 0],
  [{ cel: 'true' }, 0],
  [{ cel: 'true', withinMs: 5 }, 5],
  [
    [
      { name: 'a', cel: 'true', withinMs: 7 },
      { name: 'b', cel: 'true' },
      { name: 'c', cel: 'true', withinMs: 9 },
    ],
    9,
  ],
])('of the promise %j, the longest may take %i ms', (expectation, ms) => {
  expect(expectedWithinMs({ expect: expectation })).toBe(ms);
});

describe('a value that does not fit a schema', () => {
  const failure = (schema: z.ZodType, value: unknown) =>
    zodError('INVALID_INPUT', schema.safeParse(value).error as z.ZodError, 'input');

  test('is refused with its first problem, and up to five in the message', () => {
    const schema = z.strictObject(Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f'].map((key) => [key, z.string()])));
    const error = failure(schema, {});
    expect(error).toMatchObject({ code: 'INVALID_INPUT', field: 'input.a' });
    expect(error.expected).toBe('expected string, received undefined');
    expect(error.message.split('; ')).toHaveLength(5);
    expect(error.cause).toBeInstanceOf(z.ZodError);
  });

  test('says of each of several kinds what it would be, once', () => {
    const schema = z.object({ x: z.union([z.string(), z.object({ y: z.number() }), z.literal('a'), z.string()]) });
    const { expected } = failure(schema, { x: { y: 'no' } });
    expect(expected).toBe('expected string, received object, or y: expected number, received string, or expected "a"');
  });

  test('names the field that tells the kinds apart', () => {
    const schema = z.discriminatedUnion('op', [z.object({ op: z.literal('a') }), z.object({ op: z.literal('b') })]);
    expect(failure(schema, { op: 'c' }).expected).toBe('Expected a known value of op');
  });
});
