/** A proposal and an edit of one as they come over HTTP: checked as every proposal is, and described to the last character. */
import { z } from '@hono/zod-openapi';
import {
  CHECK_NAME_PATTERN,
  MAX_CEL,
  MAX_CLAIM,
  MAX_EXPECTATIONS,
  MAX_EXPECTED_OUTCOME,
  MAX_REASONING,
  MAX_SOURCE,
  MAX_SOURCES,
  MAX_WITHIN_MS,
  proposalSchema,
  TRUST_LEVELS,
} from '../../action/proposal.js';
import { jsonObject, textSchemaOf } from './described.js';

/** What is described here is wrapped once more: only schemas that are made here can be described. */
const { shape } = proposalSchema;

const cel = textSchemaOf({ min: 1, max: MAX_CEL, description: 'CEL over `pre`, `post`, `delta` and `result`' });
const withinMs = {
  type: 'integer',
  minimum: 0,
  maximum: MAX_WITHIN_MS,
  description: 'How long the real system may take to show it. Milliseconds, default 0',
} as const;

const expectations = {
  anyOf: [
    cel,
    { type: 'object', required: ['cel'], properties: { cel, withinMs }, additionalProperties: false },
    {
      type: 'array',
      minItems: 1,
      maxItems: MAX_EXPECTATIONS,
      description: 'No two of one name',
      items: {
        type: 'object',
        required: ['name', 'cel'],
        properties: { name: { type: 'string', pattern: CHECK_NAME_PATTERN.source }, cel, withinMs },
        additionalProperties: false,
      },
    },
  ],
} as const;

const described = proposalSchema.extend({
  actionId: shape.actionId.optional().openapi({
    description:
      'Your idempotency key: proposing the same again returns what became of it. Default: the Idempotency-Key, else a new UUID.',
  }),
  input: jsonObject("The tool's own input"),
  expect: shape.expect.optional().openapi({ ...(expectations as object), description: 'What must be true afterwards' }),
  expectedOutcome: shape.expectedOutcome.optional().openapi(
    textSchemaOf({
      min: 1,
      max: MAX_EXPECTED_OUTCOME,
      description:
        'The outcome in your own words. Compared by meaning where the operator has a model for it, else recorded',
    }),
  ),
  reasoning: shape.reasoning
    .optional()
    .openapi(textSchemaOf({ max: MAX_REASONING, description: 'Your own words, shown to people as such' })),
  revises: shape.revises.optional().openapi({
    description: 'The action of yours that this one is proposed instead of, after a person asked for changes',
  }),
  traceId: shape.traceId.optional().openapi({ description: 'Groups the actions of one task' }),
  onMismatch: shape.onMismatch.optional().openapi({
    description:
      'Whether an effect that is not what was promised is undone (`compensate`), or left for somebody to look at. Default `keep`',
  }),
  claims: shape.claims.optional().openapi({
    type: 'object',
    description: 'What you believe about where you are. Recorded and shown, never trusted: no policy reads it',
    ...({ propertyNames: { ...textSchemaOf({ max: MAX_CLAIM.name }), not: { enum: ['__proto__'] } } } as object),
    additionalProperties: textSchemaOf({ max: MAX_CLAIM.value }),
  }),
  from: shape.from.optional().openapi({
    type: 'array',
    minItems: 1,
    maxItems: MAX_SOURCES,
    description:
      'What led to it: prompts, documents, results of tools. People see it, and policy may ask for more because of it',
    items: {
      type: 'object',
      required: ['source', 'trust'],
      properties: {
        source: textSchemaOf({ min: 1, max: MAX_SOURCE, description: 'Such as `email:4711` or `tool:web_search`' }),
        trust: {
          type: 'string',
          enum: [...TRUST_LEVELS],
          description: '`untrusted`: somebody else may have written it',
        },
      },
      additionalProperties: false,
    },
  }),
});

export const proposal = described.openapi('Proposal');

/** What a saga decides is not for its steps to say. */
export const sagaStep = described
  .omit({ traceId: true, onMismatch: true })
  .extend({
    actionId: shape.actionId.optional().openapi({ description: 'Default: `<traceId>:<n>`, the same each time' }),
  })
  .openapi('SagaStep');

export const edit = z
  .strictObject({
    input: jsonObject("The tool's own input, as it should be"),
    expect: z
      .union([shape.expect.unwrap(), z.null()])
      .optional()
      .openapi({
        ...({ anyOf: [...expectations.anyOf, { type: 'null' }] } as object),
        description:
          'What must be true afterwards. Default: what the agent promised; null: what the tool derives, and no more',
      }),
  })
  .openapi('Edit', {
    description:
      'With `request_changes`: the changed proposal is begun at once on behalf of the agent, as the action `revisedBy`, and decided like any other',
  });
