/** Builds `context.limits`, by which Cedar policies read the state of limits. Its type is made from the ids of limits.yaml. */
import type { CedarValueJson, SchemaJson } from '@cedar-policy/cedar-wasm/nodejs';
import { ACTION_TYPES, type ActionType } from '../../action/decision.js';
import { CountersignError } from '../../action/errors.js';
import type { LimitFigure } from '../../action/limits.js';

const FIGURE = '{ max: Long, used: Long, held: Long, left: Long, fits: Bool }';

/** The type `Limits`: a record with an optional attribute for each limit, so that a policy that misspells a limit is refused at load. */
export function limitsType(ids: readonly string[]): string {
  return `type Limits = {\n${ids.map((id) => `  ${JSON.stringify(id)}?: ${FIGURE},\n`).join('')}};\n`;
}

/** What a schema may leave out of the context. */
export const OPTIONAL_ATTRIBUTES = [
  'limits',
  'history',
  'compensates',
  'edited',
  'sources',
  'untrustedSources',
] as const;
export type OptionalAttribute = (typeof OPTIONAL_ATTRIBUTES)[number];

/** The action types whose context has the attribute. Others must not get it, because Cedar refuses what the schema does not declare. */
export function actionsWith(attribute: OptionalAttribute, schema: SchemaJson<string>): ReadonlySet<ActionType> {
  const actions = schema['Countersign']?.actions ?? {};
  return new Set(
    ACTION_TYPES.filter((type) => has(attribute, schema, (actions[type]?.appliesTo as Applied | undefined)?.context)),
  );
}

interface Applied {
  readonly context?: TypeJson;
}

interface TypeJson {
  readonly type: string;
  readonly name?: string;
  readonly attributes?: Readonly<Record<string, unknown>>;
}

function has(attribute: string, schema: SchemaJson<string>, context: TypeJson | undefined): boolean {
  const seen = new Set<string>();
  let type = context;
  while (type !== undefined && type.type !== 'Record') {
    const name = type.type === 'EntityOrCommon' ? (type.name ?? '') : type.type;
    if (seen.has(name)) return false;
    seen.add(name);
    type = commonType(schema, name);
  }
  return type?.attributes !== undefined && Object.hasOwn(type.attributes, attribute);
}

function commonType(schema: SchemaJson<string>, name: string): TypeJson | undefined {
  const split = name.lastIndexOf('::');
  const spaces = split < 0 ? ['Countersign', ''] : [name.slice(0, split)];
  const own = split < 0 ? name : name.slice(split + 2);
  return spaces.map((space) => schema[space]?.commonTypes?.[own]).find((type) => type !== undefined);
}

/**
 * Builds the attribute `limits` from the figures of the policy's own limits. When a limit has several counters, the tightest one is used.
 * Cedar's Long is an integer, so what is left is rounded down, and what is used or held is rounded up.
 *
 * @throws CountersignError POLICY_ERROR when a figure is no number
 */
export function limitsContext(
  figures: readonly LimitFigure[],
  ids: ReadonlySet<string>,
): Record<string, CedarValueJson> {
  const tightest = new Map<string, LimitFigure>();
  for (const figure of figures) {
    if (!ids.has(figure.limit)) continue;
    const other = tightest.get(figure.limit);
    if (other === undefined || tighter(figure, other)) tightest.set(figure.limit, figure);
  }
  return Object.fromEntries(
    [...tightest].map(([id, { max, used, held, left, fits }]) => [
      id,
      {
        max: long(max, Math.floor, id),
        used: long(used, Math.ceil, id),
        held: long(held, Math.ceil, id),
        left: long(left, Math.floor, id),
        fits,
      },
    ]),
  );
}

function tighter(a: LimitFigure, b: LimitFigure): boolean {
  return a.fits === b.fits ? a.left < b.left : !a.fits;
}

function long(amount: unknown, round: (amount: number) => number, id: string): number {
  if (typeof amount === 'number' && !Number.isNaN(amount)) {
    const whole = round(amount) + 0;
    return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, whole));
  }
  throw new CountersignError('POLICY_ERROR', `a figure of the limit ${id} is not a number`, {
    field: `limits.${id}`,
    expected: 'a number',
    fix: 'Correct the recorded facts.',
  });
}
