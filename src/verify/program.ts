/** Checks the syntax tree of an expectation, and rewrites the few places where CEL's own form is unbounded or unhandy. */
import { isCelError, run, type parse } from '@bufbuild/cel';

/** A parsed expression with its positions, as `@bufbuild/cel` makes and evaluates it. */
export type Program = ReturnType<typeof parse>;
type Expr = Program['expr'];
type Kind<C extends string> = Extract<Expr['exprKind'], { case: C }>['value'];

/** What an expectation can read. */
export const ROOTS = ['pre', 'post', 'delta', 'result'] as const;
export type Root = (typeof ROOTS)[number];

/** Called with a problem; does not return. */
export type Refuse = (problem: string, offset: number | undefined, hints: { expected: string; fix: string }) => never;

const MAX_NODES = 1000;
const MAX_DEPTH = 64;
const MAX_LOOPS = 2;
const MAX_PATTERN = 200;
const MAX_REPEATS = 1000;

/** CEL's name for the value that a comprehension builds; no text can name it. */
const ACCUMULATOR = '@result';

const BINARY = [2] as const;
const CONVERSION = { call: [1] } as const;
const TEXT_TEST = { method: [1] } as const;
const GETTER = { method: [0] } as const;

/**
 * Everything that can be called, with the numbers of arguments. Left out on purpose: `bytes` allocates memory that the
 * evaluator's limit does not cover, and so do getters with a time zone; `type` and `dyn` have no use without a type checker.
 */
const CALLABLE = new Map<string, { readonly call?: readonly number[]; readonly method?: readonly number[] }>([
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

const FUNCTIONS = [...CALLABLE.keys()].filter((name) => /^[a-z]/.test(name));

/** Calls that never yield a boolean. */
const NOT_BOOLEAN: ReadonlySet<string> = new Set([
  '_+_',
  '_-_',
  '_*_',
  '_/_',
  '_%_',
  '-_',
  'size',
  'int',
  'double',
  'string',
  'timestamp',
  'duration',
  ...FUNCTIONS.filter((name) => name.startsWith('get')),
]);

interface Place {
  readonly variables: readonly string[];
  readonly loops: number;
  readonly depth: number;
}

/**
 * Refuses unknown names, functions out of place and too much of anything; returns the roots that are read, sorted. Changes the tree:
 * - every turn of a comprehension is charged, through `@step`, with the number of nodes it evaluates;
 * - the lists that comprehensions build grow in place, through `@append`: CEL's concatenation nests one level per item;
 * - `has(x["key"])` becomes the test that `has(x.key)` is.
 */
export function checkProgram(program: Program, refuse: Refuse): readonly Root[] {
  const check = new ProgramCheck(program, refuse);
  check.visit(program.expr, { variables: [], loops: 0, depth: 0 });
  check.yieldsBoolean(program.expr);
  return [...check.uses].sort();
}

class ProgramCheck {
  readonly uses = new Set<Root>();
  readonly #program: Program;
  readonly #refuse: Refuse;
  #nodes = 0;

  constructor(program: Program, refuse: Refuse) {
    this.#program = program;
    this.#refuse = refuse;
  }

  /** Visits a node and all below it; returns how many there are. */
  visit(expr: Expr | undefined, place: Place): number {
    if (expr === undefined) return 0;
    if (++this.#nodes > MAX_NODES || place.depth > MAX_DEPTH) {
      this.#refuse('is too large', this.#offset(expr), {
        expected: `at most ${MAX_NODES} nodes, nested at most ${MAX_DEPTH} deep`,
        fix: 'Check only what the action was meant to change.',
      });
    }
    const before = this.#nodes;
    const inside = { ...place, depth: place.depth + 1 };
    switch (expr.exprKind.case) {
      case 'constExpr':
        this.#constant(expr, expr.exprKind.value);
        break;
      case 'identExpr':
        this.#identifier(expr, expr.exprKind.value.name, place);
        break;
      case 'selectExpr':
        this.visit(expr.exprKind.value.operand, inside);
        break;
      case 'callExpr':
        this.#call(expr, expr.exprKind.value, inside);
        break;
      case 'listExpr':
        for (const element of expr.exprKind.value.elements) this.visit(element, inside);
        break;
      case 'structExpr':
        this.#struct(expr, expr.exprKind.value, inside);
        break;
      case 'comprehensionExpr':
        this.#comprehension(expr, expr.exprKind.value, inside);
        break;
      case undefined:
        this.#refuse('has an empty part', this.#offset(expr), { expected: 'a CEL expression', fix: 'Complete it.' });
    }
    return this.#nodes - before + 1;
  }

  /** Refuses what is certain to yield something else. What is read from data is known only when it is evaluated. */
  yieldsBoolean({ exprKind, ...expr }: Expr): void {
    const certain =
      (exprKind.case === 'constExpr' && exprKind.value.constantKind.case !== 'boolValue') ||
      exprKind.case === 'listExpr' ||
      exprKind.case === 'structExpr' ||
      (exprKind.case === 'identExpr' && exprKind.value.name !== 'result') ||
      (exprKind.case === 'callExpr' && NOT_BOOLEAN.has(exprKind.value.function)) ||
      (exprKind.case === 'comprehensionExpr' && exprKind.value.accuInit?.exprKind.case === 'listExpr');
    if (!certain) return;
    this.#refuse('does not yield a boolean', this.#offset({ exprKind, ...expr }), {
      expected: 'an expression that is true or false',
      fix: 'Compare the value with what it should be, for instance: size(post.sessions) == 0',
    });
  }

  #constant(expr: Expr, { constantKind }: Kind<'constExpr'>): void {
    if (constantKind.case === 'bytesValue') this.#notSupported(expr, 'a literal of bytes', 'a text');
    if (constantKind.case === 'uint64Value')
      this.#notSupported(expr, 'an unsigned literal', 'an integer, without the u');
    if (constantKind.case === 'int64Value' && BigInt.asIntN(64, constantKind.value) !== constantKind.value) {
      this.#notSupported(expr, 'an integer of more than 64 bits', 'an integer within ±(2^63-1)');
    }
  }

  #identifier(expr: Expr, name: string, { variables }: Place): void {
    if (variables.includes(name)) return;
    if (isRoot(name)) {
      this.uses.add(name);
      return;
    }
    this.#refuse(`names ${JSON.stringify(name.slice(0, 64))}, which is not known`, this.#offset(expr), {
      expected: [...ROOTS, ...variables.filter((variable) => variable !== ACCUMULATOR)].join(', '),
      fix: 'Begin with one of these, for instance: post.orders["41"].status == "paid"; put texts in quotes.',
    });
  }

  #call(expr: Expr, call: Kind<'callExpr'>, place: Place): void {
    if (call.function === 'has' && call.target === undefined) return this.#hasIndex(expr, call, place);
    const arities = CALLABLE.get(call.function)?.[call.target === undefined ? 'call' : 'method'];
    if (arities === undefined || !arities.includes(call.args.length)) {
      this.#refuse(`calls ${describeCall(call)}, which is not known`, this.#offset(expr), {
        expected: `one of: has, all, exists, exists_one, filter, map, ${FUNCTIONS.join(', ')}`,
        fix: 'Use one of these, with its arguments as in CEL: size(x), text.startsWith("a"), list.all(x, x > 0).',
      });
    }
    this.visit(call.target, place);
    for (const argument of call.args) this.visit(argument, place);
    if (call.function === 'matches') this.#pattern(expr, call.args[0]);
  }

  #hasIndex(expr: Expr, call: Kind<'callExpr'>, place: Place): void {
    const [argument] = call.args;
    const index = argument?.exprKind.case === 'callExpr' ? argument.exprKind.value : undefined;
    const [operand, key] = index?.function === '_[_]' ? index.args : [];
    const constant = key?.exprKind.case === 'constExpr' ? key.exprKind.value.constantKind : undefined;
    if (call.args.length !== 1 || operand === undefined || constant?.case !== 'stringValue') {
      this.#refuse('uses has() on something that is not a field', this.#offset(expr), {
        expected: 'has(x.field) or has(x["field"])',
        fix: 'For a key that is computed, write: key in x',
      });
    }
    this.visit(operand, place);
    expr.exprKind = {
      case: 'selectExpr',
      value: { $typeName: 'cel.expr.Expr.Select', operand, field: constant.value, testOnly: true },
    };
  }

  #struct(expr: Expr, struct: Kind<'structExpr'>, place: Place): void {
    if (struct.messageName !== '')
      this.#notSupported(expr, `a message ${struct.messageName.slice(0, 64)}`, 'a map: {"a": 1}');
    for (const { keyKind, value } of struct.entries) {
      if (keyKind.case === 'mapKey') this.visit(keyKind.value, place);
      this.visit(value, place);
    }
  }

  #comprehension(expr: Expr, loop: Kind<'comprehensionExpr'>, place: Place): void {
    if (place.loops === MAX_LOOPS) {
      this.#refuse(`nests more than ${MAX_LOOPS} comprehensions`, this.#offset(expr), {
        expected: `all, exists, exists_one, filter and map nested at most ${MAX_LOOPS} deep`,
        fix: 'Name the rows that matter instead of searching for them.',
      });
    }
    if (isRoot(loop.iterVar) || !/^[A-Za-z_]\w*$/.test(loop.iterVar)) {
      this.#refuse(`takes ${JSON.stringify(loop.iterVar.slice(0, 64))} as a variable`, this.#offset(expr), {
        expected: `a variable that is not one of ${ROOTS.join(', ')}`,
        fix: 'Rename the variable.',
      });
    }
    const inside = { ...place, variables: [...place.variables, loop.iterVar, ACCUMULATOR], loops: place.loops + 1 };
    this.visit(loop.iterRange, place);
    this.visit(loop.accuInit, place);
    this.visit(loop.result, inside);
    const cost = this.visit(loop.loopCondition, inside) + this.visit(loop.loopStep, inside);
    growInPlace(loop.loopStep);
    loop.loopCondition = charged(loop.loopCondition, cost);
  }

  /** The engine (RE2) is linear in the text; this bounds its other factor, and finds a bad pattern before the effect. */
  #pattern(expr: Expr, argument: Expr | undefined): void {
    const constant = argument?.exprKind.case === 'constExpr' ? argument.exprKind.value.constantKind : undefined;
    if (constant?.case !== 'stringValue') {
      this.#refuse('matches a pattern that is computed', this.#offset(expr), {
        expected: 'a pattern written as a text',
        fix: 'Write the pattern out, or use contains, startsWith or endsWith.',
      });
    }
    const pattern = constant.value;
    const repeats = [...pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g)].reduce(
      (sum, [, least, most]) => sum + Math.max(Number(least), Number(most ?? 0)),
      0,
    );
    const problem =
      pattern.length > MAX_PATTERN || repeats > MAX_REPEATS ? 'it is too costly' : patternProblem(pattern);
    if (problem === undefined) return;
    this.#refuse(`has a pattern that cannot be used: ${problem}`, this.#offset(expr), {
      expected: `an RE2 pattern of at most ${MAX_PATTERN} characters, with counted repetitions of at most ${MAX_REPEATS} in all`,
      fix: 'Simplify the pattern; RE2 has no look-around and no back-references.',
    });
  }

  #notSupported(expr: Expr, what: string, instead: string): never {
    return this.#refuse(`uses ${what}`, this.#offset(expr), { expected: instead, fix: `Use ${instead}.` });
  }

  #offset(expr: Expr): number | undefined {
    return this.#program.sourceInfo?.positions[expr.id.toString()];
  }
}

function isRoot(name: string): name is Root {
  return (ROOTS as readonly string[]).includes(name);
}

function describeCall({ function: name, args, target }: Kind<'callExpr'>): string {
  return `${target === undefined ? '' : '.'}${name.slice(0, 64)}() with ${args.length} argument${args.length === 1 ? '' : 's'}`;
}

function patternProblem(pattern: string): string | undefined {
  const result = run('"".matches(pattern)', { pattern });
  return isCelError(result) ? result.message.slice(0, 200) : undefined;
}

/** `@result + [x]`, in the step of map and filter, becomes `@append(@result, [x])`. Nobody else holds the list that it changes. */
function growInPlace(step: Expr | undefined): void {
  if (step?.exprKind.case !== 'callExpr') return;
  const call = step.exprKind.value;
  const [left, right] = call.args;
  if (call.function === '_?_:_') return growInPlace(right);
  const accumulates = left?.exprKind.case === 'identExpr' && left.exprKind.value.name === ACCUMULATOR;
  if (call.function === '_+_' && accumulates && right?.exprKind.case === 'listExpr') call.function = '@append';
}

/** `@step(condition, cost)`: the condition, or an error once the evaluation has spent what it may. */
function charged(condition: Expr | undefined, cost: number): Expr {
  const price: Expr = {
    $typeName: 'cel.expr.Expr',
    id: 0n,
    exprKind: {
      case: 'constExpr',
      value: { $typeName: 'cel.expr.Constant', constantKind: { case: 'int64Value', value: BigInt(cost) } },
    },
  };
  return {
    $typeName: 'cel.expr.Expr',
    id: 0n,
    exprKind: {
      case: 'callExpr',
      value: {
        $typeName: 'cel.expr.Expr.Call',
        function: '@step',
        args: condition === undefined ? [price] : [condition, price],
      },
    },
  };
}
