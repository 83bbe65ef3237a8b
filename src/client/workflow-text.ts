/** The agent's own words, as the Temporal UI shows them. */
import type { Proposal } from '../action/proposal.js';

/** One line of the agent's own words on what it wants; the trusted line is the workflow's current details. */
export function describeInput({ input }: Proposal): string {
  const words = [input['op'] ?? input['operation'], input['table'] ?? input['sql'] ?? input['path']];
  return words.filter((word) => typeof word === 'string').join(' ') || 'action';
}

/** The agent's words as a literal block: whatever they hold, the Temporal UI shows them as text. */
export function quoteReasoning(reasoning: string): string {
  const text = reasoning.slice(0, 4000).replaceAll('`', "'");
  return `The agent's words:\n\n\`\`\`\n${text}\n\`\`\``;
}
