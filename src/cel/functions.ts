/** The operators and functions that a CEL expression may call here. */
const BINARY = [2] as const;
const CONVERSION = { call: [1] } as const;
const TEXT_TEST = { method: [1] } as const;
const GETTER = { method: [0] } as const;

/**
 * Everything that can be called, with the allowed numbers of arguments. Left out on purpose: `bytes` allocates memory that the
 * evaluator's limit does not cover, and so do getters with a time zone; `type` and `dyn` have no use without a type checker.
 */
export const CALLABLE = new Map<string, { readonly call?: readonly number[]; readonly method?: readonly number[] }>([
  ...[
    '_&&_',
    '_||_',
    '_==_',
    '_!=_',
    '_<_',
    '_<=_',
    '_>_',
    '_>=_',
    '_+_',
    '_-_',
    '_*_',
    '_/_',
    '_%_',
    '_[_]',
    '@in',
  ].map((operator) => [operator, { call: BINARY }] as const),
  ['!_', { call: [1] }],
  ['-_', { call: [1] }],
  ['_?_:_', { call: [3] }],
  ['@not_strictly_false', { call: [1] }],
  ['size', { call: [1], method: [0] }],
  ...['contains', 'startsWith', 'endsWith', 'matches'].map((name) => [name, TEXT_TEST] as const),
  ...['bool', 'int', 'double', 'string', 'timestamp', 'duration'].map((name) => [name, CONVERSION] as const),
  ...[
    'FullYear',
    'Month',
    'Date',
    'DayOfMonth',
    'DayOfWeek',
    'DayOfYear',
    'Hours',
    'Minutes',
    'Seconds',
    'Milliseconds',
  ].map((name) => [`get${name}`, GETTER] as const),
]);

/** The functions, without the operators. */
export const FUNCTIONS = [...CALLABLE.keys()].filter((name) => /^[a-z]/.test(name));

/** Calls that yield a number, or a value that is used like one. */
const NUMERIC = [
  '_+_',
  '_-_',
  '_*_',
  '_/_',
  '_%_',
  '-_',
  'size',
  'int',
  'double',
  ...FUNCTIONS.filter((name) => name.startsWith('get')),
];

/** The calls that certainly never yield a boolean, and those that certainly never yield a number. */
export const NEVER: Readonly<Record<'boolean' | 'number', ReadonlySet<string>>> = {
  boolean: new Set([...NUMERIC, 'string', 'timestamp', 'duration']),
  number: new Set([...CALLABLE.keys()].filter((name) => !NUMERIC.includes(name) && !['_?_:_', '_[_]'].includes(name))),
};
