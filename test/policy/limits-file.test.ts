/** What limits.yaml can contain, and that everything else is refused at load, with its place, what was expected, and a fix. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import { LIMIT_SCOPES } from '../../src/action/limits.js';
import { bundleFromFiles, compilePolicy, limitText, loadBundle, starterFolder } from '../../src/policy/index.js';
import { parseLimits } from '../../src/policy/limits/index.js';
import type { Limit } from '../../src/policy/limits/limit.js';
import type { BundleProblem } from '../../src/policy/problems.js';
import { EXAMPLE } from './limits-example.js';
import { runs } from '../support/properties.js';
import { PERMIT_ALL } from './facts.js';

const starter = await loadBundle(starterFolder());

/** The error of a bundle with this limits.yaml. */
function refusal(text: string): CountersignError {
  try {
    bundleFromFiles({ ...starter.files, 'limits.yaml': text });
  } catch (error) {
    if (error instanceof CountersignError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

function problemsOf(text: string): readonly BundleProblem[] {
  const problems: BundleProblem[] = [];
  parseLimits(text, problems);
  return problems;
}

/** The limits of a text under `limits:`, which has nothing wrong in it. */
function declared(text: string): readonly Limit[] {
  const problems: BundleProblem[] = [];
  const { limits } = parseLimits(`limits:\n  ${text}\n`, problems);
  expect(problems).toEqual([]);
  return limits;
}

function place({ at }: BundleProblem): string {
  return typeof at === 'string' ? at : `${at.line}:${at.column}`;
}

const BUDGET = 'kind: budget, scope: agent, amount: input.amount, unit: EUR, max: 5, window: 1d';

describe('what is read', () => {
  const read = (text: string) => {
    const problems: BundleProblem[] = [];
    const set = parseLimits(text, problems);
    expect(problems).toEqual([]);
    return set;
  };
  const at = (line: number, column: number) => ({ file: 'limits.yaml', line, column });
  const expression = (readsAgent: boolean, line: number, column: number) => ({
    evaluate: expect.any(Function) as () => unknown,
    readsAgent,
    place: at(line, column),
  });

  test('of each kind is all that it says, what follows from what it does not say, and nothing else', () => {
    const { limits, evaluator } = read(`limits:
  money:
    kind: budget
    scope: [tool, agent]
    when: agent.id == "bot"
    amount: input.amount
    settled: result.paid
    unit: EUR
    max: 5.5
    window: 1d
    timezone: Europe/Berlin
    atLimit: queue for   30s
  plain: {kind: budget, scope: tenant, amount: input.amount, unit: EUR, max: 5, window: forever}
  few: {kind: count, scope: trace, max: 5, window: sliding 1h, atLimit: approve by dba}
  fast: {kind: rate, scope: agent, max: 30, per: 1m}
  burst: {kind: rate, scope: agent, max: 30, per: 1m, burst: 5}
  lease: {kind: concurrency, scope: tool, max: 2}
  broken: {kind: breaker, scope: target, window: 5m, minimum: 10, ratio: 0.5, open: 1m}
  deep: {kind: depth, max: 3, when: tool.name == "x"}
`);
    const deny = { kind: 'deny' };
    expect(limits).toEqual([
      {
        id: 'money',
        place: at(2, 3),
        when: expression(true, 5, 11),
        scope: ['agent', 'tool'],
        atLimit: { kind: 'queue', maxWaitMs: 30_000 },
        kind: 'budget',
        max: 5.5,
        unit: 'EUR',
        amount: expression(false, 6, 13),
        settled: expression(false, 7, 14),
        window: { kind: 'fixed', ms: 86_400_000, timezone: 'Europe/Berlin' },
      },
      {
        id: 'plain',
        place: at(13, 3),
        scope: ['tenant'],
        atLimit: deny,
        kind: 'budget',
        max: 5,
        unit: 'EUR',
        amount: expression(false, 13, 48),
      },
      {
        id: 'few',
        place: at(14, 3),
        scope: ['trace'],
        atLimit: { kind: 'approve', approvals: [{ roles: ['dba'], quorum: 1, ttlSeconds: 86_400 }] },
        kind: 'count',
        max: 5,
        window: { kind: 'sliding', ms: 3_600_000 },
      },
      { id: 'fast', place: at(15, 3), scope: ['agent'], atLimit: deny, kind: 'rate', capacity: 30, refillMs: 2000 },
      { id: 'burst', place: at(16, 3), scope: ['agent'], atLimit: deny, kind: 'rate', capacity: 5, refillMs: 2000 },
      { id: 'lease', place: at(17, 3), scope: ['tool'], atLimit: deny, kind: 'concurrency', max: 2 },
      {
        id: 'broken',
        place: at(18, 3),
        scope: ['target'],
        atLimit: deny,
        kind: 'breaker',
        windowMs: 300_000,
        minimum: 10,
        ratio: 0.5,
        openMs: 60_000,
        probes: 1,
      },
      { id: 'deep', place: at(19, 3), when: expression(false, 19, 37), kind: 'depth', max: 3 },
    ]);
    expect(evaluator).toBeDefined();
    for (const limit of limits) expect('window' in limit).toBe(limit.id === 'money' || limit.id === 'few');
    for (const limit of limits) expect('when' in limit).toBe(limit.id === 'money' || limit.id === 'deep');
    expect(Object.keys(limits[1] ?? {})).not.toContain('settled');
    expect(read('limits:\n  deep: {kind: depth, max: 3}\n')).not.toHaveProperty('evaluator');
  });

  test.each([
    [
      '{kind: count, scope: agent, max: 5, window: 1d, atLimit: "queue for ever"}',
      'Write deny, queue for 30s, approve by finance',
    ],
    [
      '{kind: count, scope: agent, max: 5, window: 1d, atLimit: "approve by dba, quorum=0"}',
      'Write deny, queue for 30s, approve by finance',
    ],
    ['{kind: count, scope: agent, max: 5, window: 1d, atLimit: "now queue for 30s"}', 'Write deny, queue for 30s'],
    [
      '{kind: count, scope: agent, max: 5, window: 12h, timezone: Europe/Berlin}',
      'Write window: 1d, or take timezone out.',
    ],
    ['{kind: count, scope: agent, max: -5, window: 1d}', 'Give max a whole number from 0 to 2^53-1.'],
    ['{kind: count, scope: agent, window: 1d}', 'Give max a whole number from 0 to 2^53-1.'],
    ['{kind: count, scope: agent, max: 5, window: a sliding 1h}', 'Write a window such as 1d, sliding 1h or forever'],
    ['{scope: agent}', 'Give kind budget, count, rate, concurrency, breaker or depth.'],
  ])('wrongly of %s says how to correct it', (fields, fix) => {
    const [problem] = problemsOf(`limits:\n  one: ${fields}\n`);
    expect(problem?.fix).toContain(fix);
  });

  test('has a window as it says, and nothing of what it does not say', () => {
    const windowOf = (window: string) => {
      const { limits } = read(`limits:\n  few: {kind: count, scope: agent, max: 5, window: ${window}}\n`);
      const [limit] = limits;
      return limit?.kind === 'count' ? limit.window : limit;
    };
    expect(windowOf('2d')).toStrictEqual({ kind: 'fixed', ms: 172_800_000 });
    expect(windowOf('sliding 1h')).toStrictEqual({ kind: 'sliding', ms: 3_600_000 });
    expect(windowOf('1d, timezone: Europe/Berlin')).toStrictEqual({
      kind: 'fixed',
      ms: 86_400_000,
      timezone: 'Europe/Berlin',
    });
  });

  test('of more than a hundred limits is refused where they begin', () => {
    const many = Array.from({ length: 101 }, (_, i) => `  l${i}: {kind: depth, max: 3}\n`).join('');
    expect(problemsOf(`# Too many.\nlimits:\n${many}`)).toMatchObject([{ at: at(2, 1) }]);
    const inBraces = `{ limits: {\n${Array.from({ length: 101 }, (_, i) => `  l${i}: {kind: depth, max: 3}`).join(',\n')}\n} }\n`;
    expect(problemsOf(inBraces)).toMatchObject([{ at: at(1, 3) }]);
  });

  test('with what its kind does not have is told of that alone, whatever is written there', () => {
    const told = (fields: string) => problemsOf(`limits:\n  one: {${fields}}\n`).map(({ message }) => message);
    expect(told('kind: depth, max: 3, amount: "x ("')).toEqual(['limits.one: "amount" is unknown']);
    expect(told('kind: nothing, when: "x ("')).toEqual([expect.stringMatching(/^limits\.one: kind: "nothing"/)]);
  });

  test('under a name without end is told by its beginning', () => {
    const [, problem] = problemsOf(`limits:\n  ${'l'.repeat(90)}: {kind: depth}\n`);
    expect(problem?.message).toBe(`limits.${'l'.repeat(64)}: a depth needs max`);
  });

  test('says in one line what happens at it', () => {
    for (const atLimit of ['queue for 30s', 'approve by dba'])
      expect(
        problemsOf(`limits:\n  one: {kind: count, scope: agent, max: 5, window: 1d, atLimit: "${atLimit}\\nmore"}\n`),
      ).toHaveLength(1);
  });

  test('has bounds: a hundred limits, and 65,536 characters', () => {
    const many = (count: number) =>
      `limits:\n${Array.from({ length: count }, (_, i) => `  l${i}: {kind: depth, max: 3}\n`).join('')}`;
    expect(read(many(100)).limits).toHaveLength(100);
    expect(problemsOf(many(101))).toMatchObject([
      { at: at(1, 1), message: 'it has 101 limits', expected: 'at most 100' },
    ]);
    expect(problemsOf(`limits: {}\n#${' '.repeat(64 * 1024 - 12)}`)).toEqual([]);
    expect(problemsOf(`limits: {}\n#${' '.repeat(64 * 1024 - 11)}`)).toMatchObject([
      { at: 'limits.yaml', message: 'it is over 65536 characters' },
    ]);
  });
});

describe('a file that can be used', () => {
  test('the example', () => {
    expect(problemsOf(EXAMPLE)).toEqual([]);
  });

  test.each(['limits: {}\n', '# nothing\nlimits: {}', '{"limits": {}}'])('has no limits: %j', (text) => {
    expect(compilePolicy(bundleFromFiles({ ...starter.files, 'limits.yaml': text })).limits.limits).toEqual([]);
  });

  test('the starter bundle has no limit, and the limits it suggests would load', () => {
    const text = starter.files['limits.yaml'] ?? '';
    expect(problemsOf(text)).toEqual([]);
    expect(compilePolicy(starter).limits.limits).toEqual([]);
    const uncommented = text.replace('limits: {}', 'limits:').replaceAll(/^#(?= {2})/gm, '');
    const problems: BundleProblem[] = [];
    expect(parseLimits(uncommented, problems).limits.map(({ id }) => id)).toEqual([
      'writes-per-minute',
      'rows-per-day',
      'failing-target',
    ]);
    expect(problems).toEqual([]);
  });

  test.each([
    ['1d', { kind: 'fixed', ms: 86_400_000 }],
    ['30s', { kind: 'fixed', ms: 30_000 }],
    ['sliding 1h', { kind: 'sliding', ms: 3_600_000 }],
    ['sliding   15m', { kind: 'sliding', ms: 900_000 }],
    ['366d', { kind: 'fixed', ms: 366 * 86_400_000 }],
    ['forever', undefined],
  ])('the window %s', (window, expected) => {
    const [limit] = declared(`one: {${BUDGET.replace('1d', window)}}`);
    expect(limit).toMatchObject({ id: 'one', kind: 'budget', max: 5, unit: 'EUR' });
    expect(limit?.kind === 'budget' && limit.window).toEqual(expected);
  });

  test.each([
    ['1d', 'Europe/Berlin', { kind: 'fixed', ms: 86_400_000, timezone: 'Europe/Berlin' }],
    [
      '7d',
      'America/Argentina/Buenos_Aires',
      { kind: 'fixed', ms: 7 * 86_400_000, timezone: 'America/Argentina/Buenos_Aires' },
    ],
    ['24h', 'UTC', { kind: 'fixed', ms: 86_400_000, timezone: 'UTC' }],
  ])('the window %s of %s', (window, timezone, expected) => {
    const [limit] = declared(`one: {${BUDGET.replace('1d', window)}, timezone: ${timezone}}`);
    expect(limit?.kind === 'budget' && limit.window).toEqual(expected);
    expect(limit === undefined ? '' : limitText(limit)).toContain(`by the clock of ${timezone}`);
  });

  test.each([
    ['a place that is none', '1d', 'Europe/Atlantis', /is not a time zone/],
    ['an abbreviation', '1d', 'CET', /is not a time zone/],
    ['an offset', '1d', '"+02:00"', /is not a time zone/],
    ['a rule of POSIX', '1d', '"CET-1CEST,M3.5.0,M10.5.0/3"', /is not a time zone/],
    ['a name in other letters', '1d', 'europe/berlin', /is not a time zone/],
    ['a window of hours', '12h', 'Europe/Berlin', /whole days/],
    ['a window that slides', 'sliding 1d', 'Europe/Berlin', /whole days/],
    ['no window', 'forever', 'Europe/Berlin', /whole days/],
  ])('a time zone is refused: %s', (_name, window, timezone, message) => {
    const [problem] = problemsOf(`limits:\n  one: {${BUDGET.replace('1d', window)}, timezone: ${timezone}}\n`);
    expect(problem).toMatchObject({
      message: expect.stringMatching(message) as string,
      expected: expect.stringContaining('Europe/Berlin') as string,
    });
  });

  test.each([
    ['deny', { kind: 'deny' }],
    ['queue for 30s', { kind: 'queue', maxWaitMs: 30_000 }],
    ['queue for 1d', { kind: 'queue', maxWaitMs: 86_400_000 }],
    ['approve by dba', { kind: 'approve', approvals: [{ roles: ['dba'], quorum: 1, ttlSeconds: 86_400 }] }],
    [
      'approve by lead|dba, quorum=2, ttl=4h; cfo, passkey',
      {
        kind: 'approve',
        approvals: [
          { roles: ['dba', 'lead'], quorum: 2, ttlSeconds: 14_400 },
          { roles: ['cfo'], quorum: 1, ttlSeconds: 86_400, passkey: true },
        ],
      },
    ],
  ])('at the limit: %s', (atLimit, expected) => {
    const [limit] = declared(`one: {${BUDGET}, atLimit: "${atLimit}"}`);
    expect(limit).toMatchObject({ atLimit: expected });
  });

  test.each([
    ['environment', ['environment']],
    ['[target, agent]', ['agent', 'target']],
    [`[${LIMIT_SCOPES.toReversed().join(', ')}]`, [...LIMIT_SCOPES]],
  ])('the scope %s', (scope, expected) => {
    const [limit] = declared(`one: {kind: concurrency, max: 1, scope: ${scope}}`);
    expect(limit).toMatchObject({ scope: expected });
  });

  test.each([
    ['max: 60, per: 1m', { capacity: 60, refillMs: 1000 }],
    ['max: 3, per: 10s, burst: 1', { capacity: 1, refillMs: 10_000 / 3 }],
    ['max: 1, per: 366d', { capacity: 1, refillMs: 366 * 86_400_000 }],
  ])('the rate %s', (fields, expected) => {
    expect(declared(`one: {kind: rate, scope: agent, ${fields}}`)).toMatchObject([expected]);
  });

  test('a field that is left out has its default', () => {
    const [breaker] = declared('one: {kind: breaker, scope: target, window: 5m, minimum: 4, ratio: 1, open: 10s}');
    expect(breaker).toMatchObject({ probes: 1, atLimit: { kind: 'deny' }, windowMs: 300_000, openMs: 10_000 });
    expect(breaker?.when).toBeUndefined();
  });

  test('CRLF changes neither the limits nor the digest', () => {
    const unix = bundleFromFiles({ ...starter.files, 'limits.yaml': EXAMPLE });
    const crlfBundle = bundleFromFiles({ ...starter.files, 'limits.yaml': EXAMPLE.replaceAll('\n', '\r\n') });
    expect(crlfBundle.digest).toBe(unix.digest);
    expect(compilePolicy(crlfBundle).limits.limits.map(limitText)).toEqual(
      compilePolicy(unix).limits.limits.map(limitText),
    );
  });

  test('a change of a limit changes the digest', () => {
    const other = EXAMPLE.replace('max: 500', 'max: 501');
    const [a, b] = [EXAMPLE, other].map((text) => bundleFromFiles({ ...starter.files, 'limits.yaml': text }).digest);
    expect(a).not.toBe(b);
  });
});

/** Removes the mark ¦ from a text, and returns its place. */
function marked(text: string): { readonly text: string; readonly at: string } {
  const before = (text.split('¦')[0] ?? '').split('\n');
  expect(text.split('¦')).toHaveLength(2);
  return { text: text.replace('¦', ''), at: `${before.length}:${(before.at(-1) ?? '').length + 1}` };
}

describe('a file is refused, with line and column (at the ¦), when', () => {
  const one = (fields: string): string => `limits:\n  one: {${fields}}\n`;
  /** A budget with one invalid field, whose value is marked. */
  const budget = (field: string, value: string): string => {
    const fields = { kind: 'budget', scope: 'agent', amount: 'input.a', unit: 'EUR', max: '5', window: '1d' };
    return one(
      Object.entries({ ...fields, [field]: `¦${value}` })
        .map(([name, text]) => `${name}: ${text}`)
        .join(', '),
    );
  };
  const lacking = (fields: string): string => `limits:\n  ¦one: {${fields}}\n`;
  test.each<[string, string, RegExp, RegExp]>([
    ['it is empty', '¦', /no map of limits/, /limits by id/],
    ['it is only a comment', '¦# limits\n', /no map of limits/, /limits by id/],
    ['it is a list', '¦- limits\n', /no map of limits/, /limits by id/],
    ['limits are null', '¦limits:\n', /no map of limits/, /limits by id/],
    ['limits are a list', 'limits:\n  ¦- kind: depth\n', /no map of limits/, /limits by id/],
    ['something stands beside them', 'limits: {}\n¦budget: 1\n', /"budget" is unknown/, /nothing beside/],
    ['a limit is no map', 'limits:\n  one: ¦5\n', /limits\.one is no map/, /budget, count/],
    ['a limit is empty', 'limits:\n  ¦one:\n', /limits\.one is no map/, /budget, count/],
    ['a limit has no kind', lacking('max: 1'), /a limit needs kind/, /budget, count/],
    ['a kind does not exist', one('kind: ¦quota'), /"quota"/, /budget, count, rate/],
    ['a kind is inherited', one('kind: ¦constructor'), /"constructor"/, /budget, count, rate/],
    ['an id is not plain', 'limits:\n  ¦Refunds per day: {kind: depth, max: 1}', /"Refunds per day"/, /a-z, 0-9/],
    ['an id is __proto__', 'limits:\n  ¦__proto__: {kind: depth, max: 1}', /__proto__/, /another key/],
    ['a key is __proto__', one('kind: depth, max: 1, ¦__proto__: {when: "false"}'), /__proto__/, /another key/],
    ['a key is misspelt', one('kind: depth, max: 1, ¦whan: "true"'), /"whan" is unknown/, /kind, when, max/],
    ['a key is of another kind', one('kind: depth, max: 1, ¦window: 1d'), /"window" is unknown/, /kind, when, max/],
    ['a key is there twice', one('kind: depth, max: 1, ¦max: 2'), /twice/, /once/],
    ['an id is there twice', `${one('kind: depth, max: 1')}  ¦one: {kind: depth, max: 2}\n`, /twice/, /once/],
    ['a scope is missing', lacking('kind: concurrency, max: 1'), /needs scope/, /one of tenant/],
    ['a scope does not exist', one('kind: concurrency, max: 1, scope: ¦user'), /"user"/, /one of tenant/],
    [
      'one of the scopes does not exist',
      one('kind: concurrency, max: 1, scope: ¦[agent, user]'),
      /scope/,
      /one of tenant/,
    ],
    ['the scopes are none', one('kind: concurrency, max: 1, scope: ¦[]'), /\[\]/, /one of tenant/],
    ['a maximum is missing', lacking('kind: concurrency, scope: agent'), /needs max/, /from 1/],
    ['a maximum is a text', one('kind: concurrency, scope: agent, max: ¦"5"'), /"5"/, /from 1/],
    ['a maximum is below zero', budget('max', '-5'), /-5/, /from 0/],
    ['a maximum is no number', budget('max', '.nan'), /max/, /from 0/],
    ['a maximum is endless', budget('max', '.inf'), /max/, /from 0/],
    ['a maximum overflows', budget('max', '1e999'), /max/, /2\^53-1/],
    ['a maximum is over what a number carries', budget('max', '9007199254740993'), /max/, /2\^53-1/],
    [
      'a maximum is empty',
      budget('max', '').replace('¦', '').replace('max:', '¦max:'),
      /max: null will not do/,
      /from 0/,
    ],
    ['a count is half', one('kind: count, scope: agent, max: ¦1.5, window: 1d'), /1\.5/, /whole/],
    ['a rate lets nothing through', one('kind: rate, scope: agent, max: ¦0, per: 1m'), /0 will not do/, /from 1/],
    ['a chain is endless', one('kind: depth, max: ¦65'), /65/, /0 to 64/],
    ['a ratio is zero', one('kind: breaker, scope: tool, window: 5m, minimum: 1, ratio: ¦0, open: 1m'), /0/, /over 0/],
    [
      'a ratio is over one',
      one('kind: breaker, scope: tool, window: 5m, minimum: 1, ratio: ¦1.5, open: 1m'),
      /1\.5/,
      /most 1/,
    ],
    [
      'a breaker slides',
      one('kind: breaker, scope: tool, window: ¦sliding 5m, minimum: 1, ratio: 1, open: 1m'),
      /sliding 5m/,
      /a time such as/,
    ],
    ['a window is missing', lacking('kind: count, scope: agent, max: 1'), /needs window/, /forever/],
    ['a window is a number', budget('window', '60'), /60 will not do/, /forever/],
    ['a window is no time', budget('window', '1 day'), /"1 day"/, /forever/],
    ['a window is zero', budget('window', '0d'), /"0d"/, /forever/],
    ['a window is over a year', budget('window', '367d'), /"367d"/, /366 days/],
    ['a window slides nowhere', budget('window', 'sliding'), /"sliding"/, /forever/],
    ['what happens is unknown', budget('atLimit', 'explode'), /"explode" is nothing/, /"deny"/],
    ['what happens is a list', budget('atLimit', '[deny]'), /atLimit/, /"deny"/],
    ['it queues for ever', budget('atLimit', 'queue for forever'), /"forever"/, /at most a day/],
    ['it queues for two days', budget('atLimit', 'queue for 2d'), /"2d"/, /at most a day/],
    ['nobody could approve', budget('atLimit', '"approve by"'), /"approve by"/, /"deny"/],
    ['a quorum is nobody', budget('atLimit', '"approve by dba, quorum=0"'), /quorum=0/, /"deny"/],
    ['an approval has no end', budget('atLimit', '"approve by dba, ttl=31d"'), /ttl=31d/, /"deny"/],
    ['a unit is missing', lacking('kind: budget, scope: agent, amount: "1", max: 5, window: 1d'), /needs unit/, /EUR/],
    ['a unit is blank', budget('unit', '" "'), /" "/, /EUR/],
    [
      'an amount is missing',
      lacking('kind: budget, scope: agent, unit: EUR, max: 5, window: 1d'),
      /needs amount/,
      /CEL/,
    ],
    ['an amount is a number', budget('amount', '5'), /5 will not do/, /CEL/],
    ['a condition is YAML for true', one('kind: depth, max: 1, when: ¦true'), /true will not do/, /CEL/],
  ])('%s', (_, given, message, expected) => {
    const { text, at } = marked(given);
    const error = refusal(text);
    expect(error.code).toBe('POLICY_INVALID');
    expect(error.field).toBe(`limits.yaml:${at}`);
    expect(error.message).toMatch(message);
    expect(error.expected).toMatch(expected);
    expect(error.fix).toMatch(/\w{3}/);
  });

  test('it has several problems: each is reported, in the order of the file', () => {
    const text = `limits:
  a: {kind: budget, scope: agent, amount: input., unit: EUR, max: -1, window: 1d}
  b: {kind: rate, scope: nobody, max: 5, per: soon}
  c:
    kind: depth
    max: 3
    when: agent.via.exists(x, y)
    colour: red
`;
    const problems = problemsOf(text);
    expect(problems.map(place)).toEqual(['2:48', '2:67', '3:26', '3:47', '7:31', '8:5']);
    const error = refusal(text);
    expect(error.message).toContain('; and 1 more');
    for (const { message } of problems.slice(0, 5)) expect(error.message).toContain(message);
  });

  test('it has too many limits', () => {
    const many = Array.from({ length: 101 }, (_, i) => `  l${i}: {kind: depth, max: 1}`).join('\n');
    expect(refusal(`limits:\n${many}`)).toMatchObject({ field: 'limits.yaml:1:1', expected: 'at most 100' });
  });
});

describe('invalid CEL is refused at the place of the mistake', () => {
  const budget = (amount: string): string => `limits:
  one:
    kind: budget
    scope: agent
    amount: ${amount}
    unit: EUR
    max: 5
    window: 1d
`;
  test.each<[string, string, RegExp]>([
    ['a syntax error', 'input.amount ¦+', /amount does not compile/],
    ['in double quotes', '"input.amount + ¦foo"', /names "foo"/],
    ['in single quotes', "'input.amount + ¦foo'", /names "foo"/],
    ['in a block', '|\n      input.amount +\n        ¦foo', /names "foo"/],
    ['in a block that keeps its end', '|+\n      1 + ¦foo\n', /names "foo"/],
    [
      'folded: at the text, and said where in it',
      '¦>\n      input.amount +\n      foo',
      /line 1, column 16 of the expression/,
    ],
    ['escaped: at the text, and said where in it', '¦"input[\\"a\\"] + foo"', /line 1, column 14 of the expression/],
    ['behind letters of two bytes', 'size("éü") + ¦foo', /names "foo"/],
    ['a name that does not exist', '¦proposal.amount', /names "proposal"/],
    ['what was not yet returned', '¦result.amount', /names "result"/],
    ['a function that does not exist', '¦sum(input.items)', /calls sum\(\)/],
    ['a text', '"¦\'5\'"', /does not yield a number/],
    ['a comparison', 'input.amount ¦> 5', /does not yield a number/],
    ['a list', '"¦[1, 2]"', /does not yield a number/],
    ['a whole input', '¦input', /does not yield a number/],
    ['the answer of all()', 'input.items¦.all(i, i > 0)', /does not yield a number/],
    [
      'a search within a search',
      'size(input.a.filter(x, input.b¦.exists(y, y == x)))',
      /nests more than 1 comprehension/,
    ],
    ['a pattern from the input', "'input.text¦.matches(input.pattern) ? 1 : 0'", /pattern that is computed/],
    ['a pattern that multiplies', `'input.text¦.matches("(a{500}){500}") ? 1 : 0'`, /pattern that cannot be used/],
    ['too many repetitions', `'input.text¦.matches("(a{1,900}){900}") ? 1 : 0'`, /too costly/],
    ['over 2,048 characters', `¦1${' + 1'.repeat(600)}`, /has 2401 characters/],
    ['a hundred brackets', `¦${'('.repeat(101)}1${')'.repeat(101)}`, /101 opening brackets/],
    ['nothing', '"¦"', /has 0 characters/],
  ])('%s', (_, amount, message) => {
    const { text, at } = marked(budget(amount));
    const error = refusal(text);
    expect(error.field).toBe(`limits.yaml:${at}`);
    expect(error.message).toMatch(message);
    expect(error.message).toContain('limits.one: amount ');
    expect(error.expected).toBeTruthy();
    expect(error.fix).toBeTruthy();
  });

  test('a condition must be true or false; `settled` may read the result', () => {
    expect(refusal('limits:\n  one: {kind: depth, max: 1, when: size(agent.via)}').message).toMatch(
      /when does not yield a boolean/,
    );
    expect(problemsOf(budget('input.amount\n    settled: result'))).toEqual([]);
    expect(problemsOf(budget('input.amount\n    settled: result.paid - result.fee'))).toEqual([]);
    expect(problemsOf(budget('input.amount\n    settled: outcome')).map(place)).toEqual(['6:14']);
  });
});

describe('a hostile file', () => {
  test.each<[string, string, RegExp]>([
    ['an anchor', 'limits:\n  one: &a {kind: depth, max: 1}\n', /an anchor/],
    ['an alias', 'limits:\n  one: &a {kind: depth, max: 1}\n  two: *a\n', /an alias/],
    ['a merge', 'limits:\n  one: &a {kind: depth, max: 1}\n  two: {<<: *a}\n', /an alias/],
    [
      'a billion laughs',
      `a: &a [x]\n${'bcdefghij'
        .split('')
        .map((c, i) => `${c}: &${c} [${`*${'abcdefghi'[i]}, `.repeat(10)}]`)
        .join('\n')}`,
      /an anchor/,
    ],
    ['a tag', 'limits:\n  one: !!js/function "x"\n', /tag|not YAML/i],
    ['a local tag', 'limits: !evil {}\n', /tag|not YAML/i],
    ['binary', 'limits: !!binary "aGVsbG8="\n', /tag|not YAML/i],
    ['a key that is a list', 'limits:\n  ? [a]\n  : {kind: depth, max: 1}\n', /not YAML|usable id/],
    ['two documents', 'limits: {}\n---\nlimits: {}\n', /not YAML/],
    ['a tab as indentation', 'limits:\n\tone: 1\n', /not YAML/],
    ['no end of a text', 'limits: "abc\n', /not YAML/],
    ['twenty thousand lists in lists', `limits: ${'['.repeat(20_000)}`, /nests too deeply/],
    ['as many, closed', `limits: ${'['.repeat(20_000)}${']'.repeat(20_000)}`, /nests too deeply/],
    ['maps in maps', `limits: ${'{a: '.repeat(10_000)}`, /nests too deeply/],
    ['lists in lists by dashes', `limits:\n  ${'- '.repeat(20_000)}`, /nests too deeply/],
    ['maps in maps by question marks', '? '.repeat(20_000), /nests too deeply/],
    ['maps in maps by colons', ': '.repeat(20_000), /nests too deeply/],
    ['ever deeper lines', Array.from({ length: 300 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'), /nests too deeply/],
    ['megabytes', `limits: {}\n${'#'.repeat(900_000)}`, /over 65536 characters/],
    ['thousands of keys', `limits:\n${Array.from({ length: 7000 }, (_, i) => `  k${i}:`).join('\n')}`, /7000 limits/],
    [
      'a text of 60,000 characters',
      `limits:\n  one: {kind: depth, max: 1, when: "${'a'.repeat(60_000)}"}`,
      /has 60000 characters/,
    ],
    [
      'an id of 60,000 characters',
      `limits:\n  ? ${'a'.repeat(60_000)}\n  : {kind: depth, max: 1}`,
      /is not a usable id/,
    ],
  ])('%s is refused in a few words', (_, text, message) => {
    const error = refusal(text);
    expect(error).toMatchObject({ code: 'POLICY_INVALID', field: expect.stringMatching(/^limits\.yaml/) as string });
    expect(error.message).toMatch(message);
    expect(error.message.length).toBeLessThan(3000);
  });

  test('nesting up to the limit does not break the parser', () => {
    const deep = `limits:\n${' '.repeat(60)}one: ${'['.repeat(60)}${']'.repeat(60)}`;
    expect(problemsOf(deep).length).toBeGreaterThan(0);
  });

  test('brackets in texts and comments do not count as nesting', () => {
    const text = `# ${'['.repeat(200)}\nlimits:\n  one: {kind: depth, max: 1, when: 'agent.id.matches("${'['.repeat(1)}a]") || "${'{'.repeat(80)}" == ""'}\n`;
    expect(problemsOf(text)).toEqual([]);
  });

  test('any text gives limits, or problems with a place and a fix, and never another error', () => {
    const tokens =
      'limits:|\n  |one:| |{|}|[|]|,|: |- |? |&a|*a|!!str|"|\'|>|#|\n|kind: budget|kind: rate|max: 5|scope: agent';
    const fragment = fc.constantFrom(...`${tokens}|amount: input.a|window: 1d|unit: EUR|~|1e9|.nan`.split('|'), '|');
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 40 }), (parts) => {
        for (const problem of problemsOf(parts.join(''))) {
          expect(problem.fix).not.toBe('');
          expect(place(problem)).toMatch(/^(\d+:\d+|limits\.yaml)$/);
        }
      }),
      { numRuns: runs(500) },
    );
  });
});

test('problems in limits.yaml prevent the policy from being used, whatever the Cedar files contain', () => {
  const files = { ...starter.files, 'a.cedar': PERMIT_ALL.replace('permit-all', 'mine') };
  expect(() => bundleFromFiles({ ...files, 'limits.yaml': 'limits: {one: {}}' })).toThrow(
    /limits\.one: a limit needs kind/,
  );
  expect(() => bundleFromFiles({ ...files, 'limits.yaml': 'limits: {}' })).not.toThrow();
});
