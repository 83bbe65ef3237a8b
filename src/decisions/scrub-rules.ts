/**
 * The rules by which records are scrubbed, from a YAML file:
 *
 *     salt: at least 16 characters of your own     # needed for pseudonyms; the same salt gives the same pseudonyms
 *     rules:
 *       - at: /proposal/input/where/email          # a JSON pointer (RFC 6901) into the record; * stands for any one part
 *         do: pseudonym                            # or: remove
 *       - column: phone                            # every member of this name in proposal, facts and result
 *         do: remove
 */
import { parse } from 'yaml';
import { z } from 'zod';
import { CountersignError } from '../action/errors.js';
import { zodError } from '../action/proposal.js';
import { partsOf } from './pointer.js';

export type ScrubRule = (
  { /** The parts of the pointer. */ readonly at: readonly string[] } | { readonly column: string }
) & { readonly do: 'pseudonym' | 'remove' };

export interface ScrubRules {
  readonly salt?: string | undefined;
  readonly rules: readonly ScrubRule[];
}

const how = z.enum(['pseudonym', 'remove']);
const pointer = z.string().transform((text, context): readonly string[] => {
  const parts = partsOf(text);
  if (parts !== undefined) return parts;
  context.addIssue({ code: 'custom', message: 'a JSON pointer such as /proposal/input/email' });
  return z.NEVER;
});

const schema = z
  .strictObject({
    salt: z.string().min(16).optional(),
    rules: z
      .array(
        z.union([z.strictObject({ at: pointer, do: how }), z.strictObject({ column: z.string().min(1), do: how })]),
      )
      .min(1),
  })
  .refine(({ salt, rules }) => salt !== undefined || rules.every((rule) => rule.do === 'remove'), {
    path: ['salt'],
    message: 'a text of at least 16 characters, without which pseudonyms could be guessed',
  });

/** @throws CountersignError INVALID_YAML, CONFIG_INVALID */
export function parseScrubRules(text: string, file: string): ScrubRules {
  let value: unknown;
  try {
    value = parse(text, { maxAliasCount: 0 });
  } catch (cause) {
    throw new CountersignError('INVALID_YAML', `${file} is not YAML: ${(cause as Error).message.slice(0, 200)}`, {
      field: file,
      expected: 'rules as docs/policy-backtest.md shows them',
      fix: 'Correct the line named.',
      cause,
    });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw zodError('CONFIG_INVALID', parsed.error, file);
  return parsed.data;
}
