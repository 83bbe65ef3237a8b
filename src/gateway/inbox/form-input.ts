/** What forms and addresses hold, read strictly. */
import type { Context } from 'hono';
import { z } from 'zod';
import { CountersignError } from '../../action/errors.js';
import { actionNotFound } from '../../action/errors-not-found.js';
import { ACTION_ID_PATTERN } from '../../action/proposal.js';

/** One short text of the address; empty is none. */
export function given(c: Context, name: string, max = 128): string | undefined {
  const value = c.req.query(name)?.trim();
  if (value === undefined || value === '') return undefined;
  return value.slice(0, max).toWellFormed();
}

export function actionIdOf(c: Context): string {
  const id = c.req.param('id') ?? '';
  if (ACTION_ID_PATTERN.test(id)) return id;
  throw actionNotFound('with this id');
}

/** The fields of a form, against a shape. @throws CountersignError INVALID_INPUT, naming the field */
export async function form<S extends z.ZodType>(c: Context, schema: S): Promise<z.infer<S>> {
  const body = await c.req.parseBody();
  const texts = Object.fromEntries(
    Object.entries(body).flatMap(([name, value]) =>
      // What is left empty is not said.
      typeof value === 'string' && value.trim() !== '' ? [[name, value.replaceAll('\r\n', '\n').trim()]] : [],
    ),
  );
  const parsed = schema.safeParse(texts);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new CountersignError(
    'INVALID_INPUT',
    `${issue?.path.join('.') || 'The form'}: ${issue?.message ?? 'is not as expected'}`,
    {
      field: issue?.path.join('.') || 'form',
      expected: issue?.message ?? 'the fields of the page',
      fix: 'Correct the field and send it again.',
    },
  );
}

export const reason = z.string({ error: 'a reason is needed' }).max(2000);
export const digestText = z.templateLiteral(['sha256:', z.string().regex(/^[0-9a-f]{64}$/)]);
