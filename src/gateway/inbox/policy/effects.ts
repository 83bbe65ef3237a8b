/** How the effects of decisions are told on the policy pages: by a word, a sign and a tone. */
import type { JudgedEffect } from '../../../policy/authoring/explain/judge.js';

export const EFFECTS: Readonly<
  Record<JudgedEffect, { readonly text: string; readonly tone: string; readonly sign: string }>
> = {
  allow: { text: 'allow', tone: 'good', sign: '✓' },
  deny: { text: 'deny', tone: 'bad', sign: '⊘' },
  require_approval: { text: 'ask people', tone: 'warn', sign: '…' },
  queue: { text: 'wait for room', tone: 'warn', sign: '◷' },
};
