/** What an operator makes up for a canary, checked like a proposal, and the proposal that it seems to be. */
import { z } from 'zod';
import type { CanaryTemplate } from './canary.js';
import { assertJson, withoutUndefined, type JsonObject } from './json.js';
import { parseProposal, proposalSchema, type Proposal } from './proposal.js';

/** As ids and names in credentials. */
const PRINCIPAL = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/;

const { tool, reasoning, from } = proposalSchema.shape;

export const canaryTemplateSchema = z.strictObject({
  tool,
  input: z.record(z.string(), z.unknown()).transform((input) => input as JsonObject),
  agent: z.strictObject({
    id: z.string().regex(PRINCIPAL, { error: "an agent's id" }),
    roles: z.array(z.string().regex(PRINCIPAL, { error: 'names of roles' })).max(50),
    owner: z.string().regex(PRINCIPAL, { error: "a person's id" }).optional(),
  }),
  rule: z.string().min(1).max(256).optional(),
  expect: z.string().min(1).max(4096).optional(),
  reasoning,
  from,
} satisfies Record<keyof CanaryTemplate, z.ZodType>);

/** @throws CountersignError INVALID_PROPOSAL and its kin */
export function canaryProposal(actionId: string, template: CanaryTemplate): Proposal {
  assertJson(template.input, 'canary.input');
  const { input, expect, reasoning: words, from: sources } = template;
  return parseProposal(
    withoutUndefined({ actionId, tool: template.tool, input, expect, reasoning: words, from: sources }),
  );
}
