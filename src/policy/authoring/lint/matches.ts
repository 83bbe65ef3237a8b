/** Rules that never match: whatever happens, or as long as no other tools are registered. */
import { ACTION_TYPES } from '../../../action/decision.js';
import type { Rule } from '../../rules.js';
import { possibleActions, type PossibleAction, type RegisteredTool } from '../registered.js';
import type { SymbolicPolicy } from '../symbolic.js';
import { contradictedPath } from './bounds.js';
import { finding, type Finding } from './finding.js';

/** `tools`: undefined when they are not known. */
export function neverMatching(
  rules: readonly Rule[],
  symbolic: SymbolicPolicy,
  tools: readonly RegisteredTool[] | undefined,
): readonly Finding[] {
  const impossible = new Set(rules.map(({ id }) => id));
  for (const actionType of ACTION_TYPES) forgetMatched(impossible, symbolic.ask(rules, { actionType }));
  const findings = rules.flatMap((rule) => {
    const path = contradictedPath(rule.json.conditions);
    if (path !== undefined) {
      return [never(rule, `no ${path} meets all of its conditions`)];
    }
    return impossible.has(rule.id) ? [never(rule, 'its conditions are never true')] : [];
  });
  if (tools === undefined) return findings;
  const found = new Set(findings.map(({ id }) => id));
  return [
    ...findings,
    ...unmatched(
      rules.filter(({ id }) => !found.has(id)),
      symbolic,
      tools,
    ),
  ];
}

function never(rule: Rule, why: string): Finding {
  return finding('never-matches', {
    at: rule.place,
    id: rule.id,
    message: `it never matches: ${why}`,
    fix: 'Correct its conditions, or take it out.',
  });
}

function unmatched(
  rules: readonly Rule[],
  symbolic: SymbolicPolicy,
  tools: readonly RegisteredTool[],
): readonly Finding[] {
  const waiting = new Set(rules.map(({ id }) => id));
  const asked = new Set<string>();
  for (const action of tools.flatMap(possibleActions)) {
    const key = keyOf(action);
    if (waiting.size === 0 || asked.has(key)) continue;
    asked.add(key);
    forgetMatched(
      waiting,
      symbolic.ask(
        rules.filter(({ id }) => waiting.has(id)),
        action,
      ),
    );
  }
  return rules
    .filter(({ id }) => waiting.has(id))
    .map((rule) =>
      finding('unmatched', {
        at: rule.place,
        id: rule.id,
        message: `it matches nothing that the registered tools (${tools.map(({ name }) => name).join(', ') || 'none'}) can do`,
        fix: 'Correct what it names, or register the tool that it is for.',
      }),
    );
}

function keyOf({ tool, actionType, operation = '' }: PossibleAction): string {
  return JSON.stringify([tool.name, actionType, operation]);
}

function forgetMatched(waiting: Set<string>, truths: ReadonlyMap<string, boolean | undefined>): void {
  for (const [id, truth] of truths) if (truth !== false) waiting.delete(id);
}
