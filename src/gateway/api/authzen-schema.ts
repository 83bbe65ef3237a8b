/** The shapes of AuthZEN's Access Evaluation API (OpenID Authorization API 1.0, sections 5 to 7), with what is ours in `context`. */
import { z } from '@hono/zod-openapi';
import { jsonObject, openObject, textOf } from './described.js';
import { dryRun } from './dry-run-schema.js';

/** How many evaluations one request may ask for. */
const MAX_EVALUATIONS = 20;

export const SEMANTICS = ['execute_all', 'deny_on_first_deny', 'permit_on_first_permit'] as const;

const MAX_TEXT = 255;
const name = (description: string) => textOf({ min: 1, max: MAX_TEXT, description });

const properties = (description: string) => jsonObject(description).optional();

const subject = openObject(
  { type: name('`agent`'), id: name('Yours: an agent asks for itself'), properties: properties('Not read') },
  'Who would act',
);
const resource = openObject(
  { type: name('`tool`'), id: name('The name of a tool'), properties: properties('Not read') },
  'What would be acted with',
);
const action = openObject(
  {
    name: name('An operation of the tool: `update`, `refund`'),
    properties: properties('Its arguments, as the tool is given them'),
  },
  'What would be done',
);
const context = jsonObject('Of it, `from` and `expect` are read, as in a proposal').optional();

export const evaluationRequest = openObject({ subject, action, resource, context }, 'One question').openapi(
  'EvaluationRequest',
);

export const evaluationsRequest = openObject(
  {
    subject: subject.optional(),
    action: action.optional(),
    resource: resource.optional(),
    context,
    evaluations: z
      .array(
        openObject(
          { subject: subject.optional(), action: action.optional(), resource: resource.optional(), context },
          'What it leaves out is taken from above',
        ),
      )
      .max(MAX_EVALUATIONS)
      .optional(),
    options: openObject({ evaluations_semantic: z.enum(SEMANTICS).optional() }, 'How to go about it').optional(),
  },
  'Several questions',
).openapi('EvaluationsRequest');

export const evaluation = z
  .object({
    decision: z
      .boolean()
      .openapi({ description: 'true: it would be done at once. An approval that is needed makes it false' }),
    context: z.union([
      dryRun,
      z.object({
        reason: z.string(),
        error: z.looseObject({ code: z.string(), message: z.string(), status: z.number().int() }),
      }),
    ]),
  })
  .openapi('Evaluation', { description: 'The decision, and what a dry run says; or why there is none' });

export const evaluations = z.object({ evaluations: z.array(evaluation) }).openapi('Evaluations');
