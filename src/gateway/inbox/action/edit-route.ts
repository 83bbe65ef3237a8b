/** Takes what a person made of a proposal from the form, and waits until the action that comes of it can be shown. */
import type { Context } from 'hono';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { Edit } from '../../../action/edit.js';
import { CountersignError } from '../../../action/errors.js';
import type { JsonObject } from '../../../action/json.js';
import { parseJson } from '../../../action/parse.js';
import type { Proposal } from '../../../action/proposal.js';
import type { GatewayDependencies } from '../../deps.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import { digestText, form, reason } from '../form-input.js';

const editSchema = z.object({
  shownDigest: digestText,
  input: z.string({ error: 'the input is needed' }).max(256 * 1024),
  expect: z
    .string()
    .max(64 * 1024)
    .optional(),
  reason: reason.optional(),
});

/** How often the edited action is looked for. Its workflow begins when the end of the other is on record. */
const LOOKS = 50;
const LOOK_EVERY_MS = 200;

/** Returns the id of the action to show: the edited one, or the one that was edited where the other does not begin in time. */
export async function edit(
  { decisions, countersign }: GatewayDependencies,
  c: Context,
  person: PersonPrincipal,
  actionId: string,
): Promise<string> {
  const { shownDigest, input, expect, reason: why } = await form(c, editSchema);
  const { revisedBy = actionId } = await decisions.decide(person, {
    actionId,
    shownDigest,
    verdict: 'request_changes',
    edit: { input: inputOf(input), expect: expectOf(expect) },
    ...(why === undefined ? {} : { reason: why }),
  });
  for (let look = 0; look < LOOKS; look++) {
    try {
      await countersign.view(revisedBy, person.tenant);
      return revisedBy;
    } catch (error) {
      if (!(error instanceof CountersignError) || error.code !== 'NOT_FOUND') throw error;
      await delay(LOOK_EVERY_MS);
    }
  }
  return actionId;
}

function inputOf(text: string): JsonObject {
  const value = parseJson(text, 'input');
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new CountersignError('INVALID_INPUT', 'The input is not a JSON object.', {
    field: 'input',
    expected: 'a JSON object, as the tool takes it',
    fix: 'Correct the field and send it again.',
  });
}

/** An empty field takes the expectation back. A CEL expression never begins as JSON objects and lists of objects do. */
function expectOf(text: string | undefined): NonNullable<Edit['expect']> | null {
  if (text === undefined) return null;
  return /^\{|^\[\s*\{/.test(text) ? (parseJson(text, 'expect') as NonNullable<Proposal['expect']>) : text;
}
