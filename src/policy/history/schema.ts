/** The shape of history.yaml, and the small grammars of its texts. */
import { z } from 'zod';
import { ACTION_TYPES } from '../../action/decision.js';
import { DAY_SECONDS, parseSeconds } from '../../action/duration.js';
import { HISTORY_OUTCOMES, HISTORY_SCOPES, type HistoryScope } from '../../action/history.js';
import { NAME_PATTERN } from '../../action/proposal.js';

export const MAX_HISTORY_FACTS = 50;
export const HISTORY_ID = /^[a-z0-9-]{1,64}$/;
const MAX_WITHIN_SECONDS = 366 * DAY_SECONDS;
const LONGEST_WAIT_SECONDS = DAY_SECONDS;
const ARGUMENT = /^input((?:\.[A-Za-z_][A-Za-z0-9_-]*){1,8})$/;
const MAX_VALUES = 50;

/** What each field must contain, for errors. */
const EXPECTED: Readonly<Record<string, string>> = {
  of: 'at least one of tool, operation, actionType, environment, targets, reads',
  'of.tool': 'the name of a tool, or a list of them',
  'of.operation': "a tool's name for what it does, or a list of them",
  'of.actionType': `${ACTION_TYPES.join(', ')}, or a list of them`,
  'of.environment': 'the name of an environment, or a list of them',
  'of.targets': 'the name of what is written, or a list of them',
  'of.reads': 'the name of what is only read, or a list of them',
  scope: `one of ${HISTORY_SCOPES.join(', ')}, or a list of them`,
  same: 'an argument such as input.orderId, or a list of them, at most 8',
  outcome: `one of ${HISTORY_OUTCOMES.join(', ')}, or a list of them`,
  within: 'a time such as 30s, 15m, 4h or 7d, at most 366 days',
  wait: 'a time such as 30s or 10m, at most a day',
};

export function expectedOf(path: readonly PropertyKey[]): string {
  const [field, part] = path.map(String);
  return EXPECTED[`${field ?? ''}.${part ?? ''}`] ?? EXPECTED[field ?? ''] ?? 'another value';
}

function duration(most: number) {
  return z.string().transform((text, context): number => {
    const found = parseSeconds(text);
    if (found !== undefined && found <= most) return found * 1000;
    context.addIssue({ code: 'custom', message: `${JSON.stringify(text.slice(0, 40))} will not do` });
    return z.NEVER;
  });
}

/** One value or several, as a sorted list without doubles. */
function values<Value extends string>(one: z.ZodType<Value>, most = MAX_VALUES) {
  return z
    .union([one, z.array(one).min(1).max(most)])
    .transform((given): readonly Value[] => [...new Set([given].flat())].sort() as Value[]);
}

const text = z.string().min(1).max(256);
/** Targets are lower case by contract. */
const target = text.transform((name) => name.toLowerCase());
const argument = z
  .string()
  .regex(ARGUMENT)
  .transform((path) => path.slice('input.'.length));

export const historyFactSchema = z.strictObject({
  of: z
    .strictObject({
      tool: values(z.string().regex(NAME_PATTERN)).optional(),
      operation: values(text).optional(),
      actionType: values(z.enum(ACTION_TYPES)).optional(),
      environment: values(text).optional(),
      targets: values(target).optional(),
      reads: values(target).optional(),
    })
    .refine((of) => Object.keys(of).length > 0, { error: 'it says of no action what it must be' }),
  scope: values(z.enum(HISTORY_SCOPES)).transform((given): readonly HistoryScope[] =>
    HISTORY_SCOPES.filter((name) => given.includes(name)),
  ),
  same: values(argument, 8).optional(),
  outcome: values(z.enum(HISTORY_OUTCOMES)).optional(),
  within: duration(MAX_WITHIN_SECONDS),
  wait: duration(LONGEST_WAIT_SECONDS).optional(),
});

export type HistoryFactShape = z.infer<typeof historyFactSchema>;

/** The fields of a fact, and of its `of`. */
export const HISTORY_FIELDS = Object.keys(historyFactSchema.shape);
export const EARLIER_FIELDS = Object.keys(historyFactSchema.shape.of.shape);
