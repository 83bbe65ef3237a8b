/** The grammars of annotations, and of the sentences that facts are filled into: what is read of each text, and what an author is told of a wrong one. */
import { describe, expect, test } from 'vitest';
import { readAnnotations, type AnnotationProblem } from '../../src/policy/annotations.js';
import { parseApprovals } from '../../src/policy/approval.js';
import { GrammarError } from '../../src/policy/grammar.js';
import { policyInvalid, problemsOf, type BundleProblem } from '../../src/policy/problems.js';
import { checkReason, clip, fillReason, listed } from '../../src/policy/reason.js';
import { CountersignError } from '../../src/action/errors.js';
import { factsOf } from './facts.js';

function read(annotations: Readonly<Record<string, string | null>>, effect: 'permit' | 'forbid' = 'forbid') {
  const problems: AnnotationProblem[] = [];
  return { ...readAnnotations(effect, annotations, problems), problems };
}
const constraints = (constraint: string | null) => read({ id: 'a', constraint });

describe('annotations', () => {
  test('that are not there are absent, and constraints are none', () => {
    const { problems, ...found } = read({ id: 'a' });
    expect(found).toEqual({ id: 'a', constraints: [] });
    expect(Object.keys(found).sort()).toEqual(['constraints', 'id']);
    expect(problems).toEqual([]);
  });

  test('are read each by its own grammar', () => {
    expect(read({ id: 'a', reason: '{rows} rows', approval: 'dba', constraint: 'x' })).toEqual({
      id: 'a',
      reason: '{rows} rows',
      approvals: [{ roles: ['dba'], quorum: 1, ttlSeconds: 86_400 }],
      constraints: [{ name: 'x', value: true }],
      problems: [],
    });
  });

  test('of another name are named, with those that there are', () => {
    expect(read({ id: 'a', aproval: 'dba' }).problems).toEqual([
      { message: 'unknown annotation @aproval', fix: expect.stringContaining('@id, @reason, @approval, @constraint') },
    ]);
  });

  test.each([
    [{}, 'the policy has no @id'],
    [{ id: null }, '@id(null) is not a usable id'],
    [{ id: '' }, '@id("") is not a usable id'],
    [{ id: 'A' }, '@id("A") is not a usable id'],
    [{ id: 'a b' }, '@id("a b") is not a usable id'],
    [{ id: `${'a'.repeat(64)}b` }, `@id("${'a'.repeat(64)}b") is not a usable id`],
  ])('without a usable id are refused: %j', (annotations, message) => {
    expect(read(annotations).problems).toEqual([{ message, fix: expect.stringMatching(/^Give the policy an @id/) }]);
  });

  test('with an id of 64 characters are accepted', () => {
    expect(read({ id: `${'a-0'.repeat(21)}z` }).problems).toEqual([]);
  });

  test('that are empty are refused, each by its name, and count as absent', () => {
    for (const name of ['reason', 'approval', 'constraint']) {
      for (const text of [null, '', ' ']) {
        const { problems, ...found } = read({ id: 'a', reason: 'r', [name]: text });
        expect(problems).toEqual([
          { message: `@${name}(${JSON.stringify(text)}): it is empty`, fix: `Give it a text: @${name}("…").` },
        ]);
        expect(found).toEqual({ id: 'a', constraints: [], ...(name === 'reason' ? {} : { reason: 'r' }) });
      }
    }
  });

  test('ask people only on a forbid that says why', () => {
    expect(read({ id: 'a', reason: 'r', approval: 'dba' }, 'permit').problems).toEqual([
      { message: '@approval("dba"): a permit cannot ask for approval', fix: 'Put @approval on a forbid.' },
    ]);
    expect(read({ id: 'a', approval: 'dba' }).problems).toEqual([
      {
        message: '@approval("dba"): people would be asked without a @reason',
        fix: 'Add @reason("why people are asked").',
      },
    ]);
  });

  test('with a wrong placeholder say which there are', () => {
    const [problem, ...others] = read({ id: 'a', reason: '{row}' }).problems;
    expect(others).toEqual([]);
    expect(problem?.message).toBe(
      '@reason("{row}"): {row} is not one of {action}, {agent}, {environment}, {operation}, {reads}, {roles}, {rows}, {targets}, {tool}',
    );
    expect(problem?.fix).toBe('Correct the text of @reason.');
  });
});

describe('constraints', () => {
  test('are texts, numbers and truths by their form', () => {
    expect(
      constraints(
        'a, b=true,c = false , d=-1.5, e=0, f=007, g=1e3, h=orders|users, i=a.b*/c:d-e_f, J.k_l-2=9007199254740991',
      ).constraints,
    ).toEqual([
      { name: 'a', value: true },
      { name: 'b', value: true },
      { name: 'c', value: false },
      { name: 'd', value: -1.5 },
      { name: 'e', value: 0 },
      { name: 'f', value: '007' },
      { name: 'g', value: '1e3' },
      { name: 'h', value: 'orders|users' },
      { name: 'i', value: 'a.b*/c:d-e_f' },
      { name: 'J.k_l-2', value: Number.MAX_SAFE_INTEGER },
    ]);
  });

  test.each([
    ['=5', 'has no usable name'],
    ['1=2', 'has no usable name'],
    ['a,', 'has no usable name'],
    ['a b=2', 'has no usable name'],
    [`${'a'.repeat(64)}=1`, 'has no usable name'],
    ['a=1, a=2', 'a comes twice'],
    ['a, a', 'a comes twice'],
    ['a=', '"" is not a usable value'],
    ['a=b c', '"b c" is not a usable value'],
    ['a=b=c', '"b=c" is not a usable value'],
    [`a=${'x'.repeat(257)}`, 'is not a usable value'],
    ['a=9007199254740992', '9007199254740992 is too large'],
    ['a=-9007199254740992', '-9007199254740992 is too large'],
  ])('are refused as %j', (text, message) => {
    const { problems, constraints: found } = constraints(text);
    expect(problems).toEqual([
      { message: expect.stringContaining(message), fix: expect.stringMatching(/^Write @constraint\("name"\)/) },
    ]);
    expect(found).toEqual([]);
  });

  test('have names of 63 characters and texts of 256 at most', () => {
    expect(constraints(`${'a'.repeat(63)}=${'x'.repeat(256)}`).problems).toEqual([]);
  });
});

describe('what people must do', () => {
  const error = (text: string): GrammarError => {
    try {
      parseApprovals(text);
    } catch (thrown) {
      if (thrown instanceof GrammarError) return thrown;
    }
    throw new Error('it was accepted');
  };

  test('has bounds, and what lies on them is accepted', () => {
    expect(parseApprovals('a;b;c;d;e')).toHaveLength(5);
    expect(error('a;b;c;d;e;f')).toMatchObject({ message: 'it has 6 requirements', fix: 'Ask for at most 5.' });
    expect(parseApprovals('a, quorum=1, denials=20, ttl=1s')).toMatchObject([
      { quorum: 1, denials: 20, ttlSeconds: 1 },
    ]);
    expect(parseApprovals('a, quorum=20, denials=1, ttl=30d')).toMatchObject([{ quorum: 20, denials: 1 }]);
    expect(parseApprovals('a'.repeat(63))).toHaveLength(1);
    expect(error('a'.repeat(64)).message).toContain("is not a role's name");
    expect(parseApprovals('a, ttl=1h, remind=3599s, escalate=3599s:b')).toMatchObject([{ remindSeconds: 3599 }]);
    const escalations = (count: number) => Array.from({ length: count }, (_, i) => `escalate=${i + 1}m:b`).join(', ');
    expect(parseApprovals(`a, ${escalations(5)}`)[0]?.escalations).toHaveLength(5);
    expect(error(`a, ${escalations(6)}`)).toMatchObject({
      message: 'it escalates too often',
      fix: 'Escalate at most 5 times.',
    });
  });

  test.each([
    ['', `"" is not a role's name`],
    ['a|a', 'a role is named twice'],
    ['a, quorum', '"quorum" is unknown or comes twice'],
    ['a, quorum=0', 'quorum=0 is not a whole number from 1 to 20'],
    ['a, denials=21', 'denials=21 is not a whole number from 1 to 20'],
    ['a, quorum=0001', 'quorum=0001 is not a whole number from 1 to 20'],
    ['a, quorum=x1', 'quorum=x1 is not a whole number from 1 to 20'],
    ['a, quorum=1x', 'quorum=1x is not a whole number from 1 to 20'],
    ['a, ttl', '"ttl" is unknown or comes twice'],
    ['a, remind', '"remind" is unknown or comes twice'],
    ['a, denials', '"denials" is unknown or comes twice'],
    ['a, ttl=1h, ttl=2h', '"ttl=2h" is unknown or comes twice'],
    ['a, ttl=31d', 'ttl=31d is not a time such as 30m, 4h or 7d, of at most 30 days'],
    ['a, escalate', '"escalate" is unknown or comes twice'],
    ['a, escalate=1h', 'escalate=1h does not say to whom'],
    ['a, escalate=1x:b', 'escalate=1x is not a time such as 30m, 4h or 7d, of at most 30 days'],
    ['a, escalate=1h:b, escalate=60m:c', 'it escalates twice at one time'],
    ['a, ttl=1h, remind=1h', 'remind comes after 3600 s, when the time to decide (3600 s) is over'],
    ['a, ttl=1h, escalate=2h:b', 'escalate comes after 7200 s, when the time to decide (3600 s) is over'],
    ['a, remind=1d', 'remind comes after 86400 s, when the time to decide (86400 s) is over'],
  ])('is refused as %j, with why', (text, message) => {
    expect(error(text).message).toBe(message);
    expect(error(text).fix).toMatch(/\w/);
  });
});

describe('a rule whose @approval cannot be read is refused', () => {
  test.each([
    '',
    ' ',
    ',',
    'quorum=2',
    'dba,',
    'dba|',
    '|dba',
    'dba|dba',
    'dba lead',
    'dba, 2',
    'dba, quorum=0',
    'dba, quorum=21',
    'dba, quorum=-1',
    'dba, quorum=1.5',
    'dba, quorum=two',
    'dba, quorum=2, quorum=3',
    'dba, ttl=0s',
    'dba, ttl=4',
    'dba, ttl=4hours',
    'dba, ttl=31d',
    'dba, ttl=999999999d',
    'dba, ttl=1h=2h, x',
    'dba, Quorum=2',
    'dba; quorum=2',
  ])('%j', (text) => {
    expect(read({ id: 'a', reason: 'r', approval: text }).problems).toEqual([
      {
        message: expect.stringContaining(`@approval(${JSON.stringify(text)}): `) as string,
        fix: expect.stringMatching(/@approval\("/) as string,
      },
    ]);
  });

  test.each([
    ['dba', { roles: ['dba'], quorum: 1, ttlSeconds: 86_400 }],
    [' lead | dba ,quorum = 3', { roles: ['dba', 'lead'], quorum: 3, ttlSeconds: 86_400 }],
    ['dba, ttl=90m', { roles: ['dba'], quorum: 1, ttlSeconds: 5400 }],
    ['team:db.on-call, ttl=30d, quorum=20', { roles: ['team:db.on-call'], quorum: 20, ttlSeconds: 2_592_000 }],
  ])('and stands as %j', (text, expected) => {
    expect(read({ id: 'a', reason: 'r', approval: text })).toMatchObject({ approvals: [expected], problems: [] });
  });
});

test.each([
  '',
  ',',
  'maxRows=',
  '=5',
  'max rows=5',
  'maxRows=5, maxRows=6',
  'maxRows=99999999999999999999',
  'mask=a b',
  '1=2',
])('a rule with the @constraint %j is refused', (text) => {
  expect(constraints(text).problems).toMatchObject([{ message: expect.stringContaining('@constraint(') as string }]);
});

describe('a sentence with facts in it', () => {
  const facts = factsOf({
    agent: { id: 'bot', roles: ['b', 'a'] },
    tool: { name: 'db', environment: 'test' },
    actionType: 'DELETE',
    operation: 'drop',
    preview: { rows: 7, targets: ['t1', 't2'], reads: ['r1'] },
  });

  test('has each of them in its place, and nothing else that is in braces', () => {
    const template = '{action} {agent} {environment} {operation} {reads} {roles} {rows} {targets} {tool}';
    expect(checkReason(template)).toBe(template);
    expect(fillReason(template, facts)).toBe('DELETE bot test drop r1 b, a 7 t1, t2 db');
    expect(fillReason('{x} {constructor} {} {rows}{rows}', facts)).toBe('{x} {constructor} {} 77');
  });

  test('lists ten at most, and says how many there are more', () => {
    const many = (count: number) => Array.from({ length: count }, (_, i) => `t${i}`);
    expect(listed(many(10))).toBe('t0, t1, t2, t3, t4, t5, t6, t7, t8, t9');
    expect(listed(many(12))).toBe('t0, t1, t2, t3, t4, t5, t6, t7, t8, t9 and 2 more');
    expect(listed(['x'.repeat(129), 'y'])).toBe(`${'x'.repeat(128)}…, y`);
  });

  test('has nothing in it that could forge a line, and no more than 128 characters of one fact', () => {
    expect(clip('a\nb\u202ec\u2028d\u2029e')).toBe('a\u{FFFD}b\u{FFFD}c\u{FFFD}d\u{FFFD}e');
    expect(clip('x'.repeat(128))).toBe('x'.repeat(128));
    expect(clip('x'.repeat(129))).toBe(`${'x'.repeat(128)}…`);
    expect(clip('abc', 2)).toBe('ab…');
    const long = factsOf({
      agent: { id: 'i'.repeat(200) },
      tool: { name: 'n'.repeat(200), environment: 'e'.repeat(200) },
      operation: 'o'.repeat(200),
    });
    expect(fillReason('{agent} {tool} {environment} {operation}', long)).toBe(
      `${'i'.repeat(128)}… ${'n'.repeat(128)}… ${'e'.repeat(128)}… ${'o'.repeat(128)}…`,
    );
  });
});

describe('the problems of a bundle', () => {
  const problem = (n: number, more: Partial<BundleProblem> = {}): BundleProblem => ({
    at: `f${n}`,
    message: `m${n}`,
    fix: `x${n}`,
    ...more,
  });

  test('are one error: of the first its field, what was expected and the fix; of all, five sentences at most', () => {
    const place = { file: 'a.cedar', line: 3, column: 7 };
    const few = policyInvalid([problem(0, { at: place, expected: 'e' }), problem(1)]);
    expect(few).toMatchObject({ code: 'POLICY_INVALID', field: 'a.cedar:3:7', expected: 'e', fix: 'x0' });
    expect(few.message).toBe('a.cedar:3:7: m0; f1: m1');
    expect(few.cause).toBeUndefined();
    const five = policyInvalid([problem(0), problem(1), problem(2), problem(3), problem(4)]);
    expect(five.message).toBe('f0: m0; f1: m1; f2: m2; f3: m3; f4: m4');
    expect('expected' in five.toJSON()).toBe(false);
    const seven = policyInvalid([problem(0), ...[1, 2, 3, 4, 5, 6].map((n) => problem(n))]);
    expect(seven.message).toBe('f0: m0; f1: m1; f2: m2; f3: m3; f4: m4; and 2 more');
    expect(problemsOf(seven)).toHaveLength(7);
    expect(problemsOf(new CountersignError('POLICY_INVALID', 'other'))).toEqual([]);
    const cause = new Error('why');
    expect(policyInvalid([problem(0)], cause).cause).toBe(cause);
  });
});
