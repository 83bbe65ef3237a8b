/** Checks the syntax tree of a CEL expression, and rewrites the few places where CEL's own form is unbounded or inconvenient. */
import type { parse } from '@bufbuild/cel';
import { CALLABLE, FUNCTIONS, NEVER } from './functions.js';
import { cel } from './library.js';

const { isCelError, run } = cel;

/** A parsed expression with its positions, as `@bufbuild/cel` makes and evaluates it. */
export type Program = ReturnType<typeof parse>;
type Expr = Program['expr'];
type Kind<C extends string> = Extract<Expr['exprKind'], { case: C }>['value'];

/** What an expression may contain. */
export interface Terms<Root extends string = string> {
  /** The names that it can read. */
  readonly roots: readonly Root[];
  /** Those of `roots` that may be used as a value, not only as the start of a path. */
  readonly bare: readonly Root[];
  readonly yields: 'boolean' | 'number';
  /** How many comprehensions may nest. */
  readonly loops: number;
  /** Functions beyond those of CEL, by name. */
  readonly helpers?: ReadonlyMap<string, CelHelper<Root>>;
  /** A valid expression, shown as a hint when another is refused. */
  readonly example: string;
}

/** A function that the evaluator offers in addition to those of CEL. */
export interface CelHelper<Root extends string = string> {
  /** The fewest and the most arguments. */
  readonly arguments: readonly [least: number, most: number];
  /** The roots that it reads although they are not arguments. */
  readonly reads: readonly Root[];
  readonly yields: 'boolean' | 'number' | 'list';
}

/** Reports a problem by throwing; it never returns. */
export type ReportProblem = (
  problem: string,
  offset: number | undefined,
  hints: { expected: string; fix: string },
) => never;

const MAX_NODES = 1000;
const MAX_DEPTH = 64;
const MAX_PATTERN = 200;
const MAX_REPEATS = 1000;

/** CEL's name for the value that a comprehension builds; no text can name it. */
const ACCUMULATOR = '@result';

const YIELDS = {
  boolean: {
    expected: 'an expression that is true or false',
    fix: 'Compare the value with what it should be, for instance',
  },
  number: { expected: 'an expression that is a number', fix: 'Name the number, for instance' },
} as const;

interface Place {
  readonly variables: readonly string[];
  readonly loops: number;
  readonly depth: number;
}

/**
 * Refuses unknown names, misplaced functions and excessive size; returns the roots that the program reads, sorted. It changes the tree:
 * - every iteration of a comprehension is charged, through `@step`, with the number of nodes it evaluates;
 * - the lists that comprehensions build grow in place, through `@append`: CEL's concatenation nests one level per item;
 * - `has(x["key"])` becomes the test that `has(x.key)` is.
 */
export function checkProgram<Root extends string>(
  program: Program,
  terms: Terms<Root>,
  refuse: ReportProblem,
): readonly Root[] {
  const check = new ProgramCheck(program, terms, refuse);
  check.visit(program.expr, { variables: [], loops: 0, depth: 0 });
  check.yields(program.expr);
  return [...check.uses].sort();
}

class ProgramCheck<Root extends string> {
  readonly uses = new Set<Root>();
  readonly #program: Program;
  readonly #terms: Terms<Root>;
  readonly #refuse: ReportProblem;
  #nodes = 0;

  constructor(program: Program, terms: Terms<Root>, refuse: ReportProblem) {
    this.#program = program;
    this.#terms = terms;
    this.#refuse = refuse;
  }

  /** Visits a node and all nodes below it, and returns their number. */
  visit(expr: Expr | undefined, place: Place): number {
    if (expr === undefined) return 0;
    if (++this.#nodes > MAX_NODES || place.depth > MAX_DEPTH) {
      this.#refuse('is too large', this.#offset(expr), {
        expected: `at most ${MAX_NODES} nodes, nested at most ${MAX_DEPTH} deep`,
        fix: 'Simplify it, or split it.',
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

  /** Refuses an expression that certainly yields another type. The type of values from data is known only at evaluation. */
  yields(expr: Expr): void {
    const { yields, example } = this.#terms;
    if (!this.#certainlyNot(expr, yields)) return;
    const { expected, fix } = YIELDS[yields];
    this.#refuse(`does not yield a ${yields}`, this.#offset(expr), { expected, fix: `${fix}: ${example}` });
  }

  #certainlyNot({ exprKind }: Expr, yields: Terms['yields']): boolean {
    switch (exprKind.case) {
      case 'constExpr': {
        const kind = exprKind.value.constantKind.case;
        return yields === 'boolean' ? kind !== 'boolValue' : kind !== 'int64Value' && kind !== 'doubleValue';
      }
      case 'identExpr':
        return !(this.#terms.bare as readonly string[]).includes(exprKind.value.name);
      case 'listExpr':
      case 'structExpr':
        return true;
      case 'callExpr':
        return (
          NEVER[yields].has(exprKind.value.function) ||
          (this.#terms.helpers?.get(exprKind.value.function)?.yields ?? yields) !== yields
        );
      case 'comprehensionExpr':
        // These comprehensions build a list; all, exists and exists_one yield booleans.
        return yields === 'number' || exprKind.value.accuInit?.exprKind.case === 'listExpr';
      default:
        return false;
    }
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
    if (this.#isRoot(name)) {
      this.uses.add(name);
      return;
    }
    this.#refuse(`names ${JSON.stringify(name.slice(0, 64))}, which is not known`, this.#offset(expr), {
      expected: [...this.#terms.roots, ...variables.filter((variable) => variable !== ACCUMULATOR)].join(', '),
      fix: `Begin with one of these, for instance: ${this.#terms.example}; put texts in quotes.`,
    });
  }

  #call(expr: Expr, call: Kind<'callExpr'>, place: Place): void {
    if (call.function === 'has' && call.target === undefined) return this.#hasIndex(expr, call, place);
    if (!this.#isKnown(call)) {
      this.#refuse(`calls ${describeCall(call)}, which is not known`, this.#offset(expr), {
        expected: `one of: has, all, exists, exists_one, filter, map, ${[...FUNCTIONS, ...(this.#terms.helpers?.keys() ?? [])].join(', ')}`,
        fix: 'Use one of these, with its arguments as in CEL: size(x), text.startsWith("a"), list.all(x, x > 0).',
      });
    }
    this.visit(call.target, place);
    for (const argument of call.args) this.visit(argument, place);
    if (call.function === 'matches') this.#pattern(expr, call.args[0]);
  }

  /** Whether the function exists. It also notes the roots that a helper reads. */
  #isKnown({ function: name, target, args }: Kind<'callExpr'>): boolean {
    const helper = target === undefined ? this.#terms.helpers?.get(name) : undefined;
    if (helper === undefined) {
      return CALLABLE.get(name)?.[target === undefined ? 'call' : 'method']?.includes(args.length) === true;
    }
    for (const root of helper.reads) this.uses.add(root);
    const [least, most] = helper.arguments;
    return args.length >= least && args.length <= most;
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
    const { loops, roots } = this.#terms;
    if (place.loops === loops) {
      this.#refuse(`nests more than ${loops} comprehension${loops === 1 ? '' : 's'}`, this.#offset(expr), {
        expected: `all, exists, exists_one, filter and map nested at most ${loops} deep`,
        fix: 'Name what matters instead of searching for it.',
      });
    }
    if (this.#isRoot(loop.iterVar) || !/^[A-Za-z_]\w*$/.test(loop.iterVar)) {
      this.#refuse(`takes ${JSON.stringify(loop.iterVar.slice(0, 64))} as a variable`, this.#offset(expr), {
        expected: `a variable that is not one of ${roots.join(', ')}`,
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

  /** Limits the size of a pattern, and refuses an invalid one before the effect. The engine (RE2) takes time linear in the text. */
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

  #isRoot(name: string): name is Root {
    return (this.#terms.roots as readonly string[]).includes(name);
  }

  #offset(expr: Expr): number | undefined {
    return this.#program.sourceInfo?.positions[expr.id.toString()];
  }
}

function describeCall({ function: name, args, target }: Kind<'callExpr'>): string {
  return `${target === undefined ? '' : '.'}${name.slice(0, 64)}() with ${args.length} argument${args.length === 1 ? '' : 's'}`;
}

function patternProblem(pattern: string): string | undefined {
  const result = run('"".matches(pattern)', { pattern });
  return isCelError(result) ? result.message.slice(0, 200) : undefined;
}

/** Turns `@result + [x]`, in the step of map and filter, into `@append(@result, [x])`, which changes the list that only it refers to. */
function growInPlace(step: Expr | undefined): void {
  if (step?.exprKind.case !== 'callExpr') return;
  const call = step.exprKind.value;
  const [left, right] = call.args;
  if (call.function === '_?_:_') return growInPlace(right);
  const accumulates = left?.exprKind.case === 'identExpr' && left.exprKind.value.name === ACCUMULATOR;
  if (call.function === '_+_' && accumulates && right?.exprKind.case === 'listExpr') call.function = '@append';
}

/** Builds `@step(condition, cost)`, which yields the condition, or an error once the evaluation has exceeded its steps. */
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
