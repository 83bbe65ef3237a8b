/** Facts of history.yaml that no rule reads or that no tool can meet, and rules that read the wrong one of their counts. */
import type { Policy } from '../../compile.js';
import type { HistoryFact } from '../../history/fact.js';
import type { Rule } from '../../rules.js';
import { operationNames, type RegisteredTool } from '../registered.js';
import { finding, type Finding } from './finding.js';

/** `tools`: undefined when they are not known. */
export function historyFindings(policy: Policy, tools: readonly RegisteredTool[] | undefined): readonly Finding[] {
  const read = new Set(policy.historyBounds.map(({ fact }) => fact));
  return [
    ...policy.history.facts.filter(({ id }) => !read.has(id)).map(unread),
    ...(tools === undefined ? [] : policy.history.facts.flatMap((fact) => unknownNames(fact, tools))),
    ...policy.rules.flatMap((rule) => wrongSides(policy, rule)),
  ];
}

function unread({ id, place }: HistoryFact): Finding {
  return finding('history-unread', {
    at: place,
    id,
    message: 'no rule reads this fact, and it is looked up for every action',
    fix: `Write the rule that reads context.history["${id}"], or take the fact out.`,
  });
}

function unknownNames({ id, place, of }: HistoryFact, tools: readonly RegisteredTool[]): readonly Finding[] {
  const misnamed = (of.tool ?? []).filter((name) => !tools.some((tool) => tool.name === name));
  const meant = tools.filter(({ name }) => of.tool === undefined || of.tool.includes(name));
  const known = meant.map(operationNames);
  const operations = known.includes(undefined) ? undefined : new Set(known.flatMap((names = []) => names));
  const unknown = meant.length === 0 ? [] : (of.operation ?? []).filter((name) => operations?.has(name) === false);
  return [
    ...misnamed.map((name) =>
      finding('unknown-tool', {
        at: place,
        id,
        message: `no tool is called ${name}`,
        fix: `Correct the name; known are ${tools.map((tool) => tool.name).join(', ')}.`,
      }),
    ),
    ...unknown.map((name) =>
      finding('unknown-operation', {
        at: place,
        id,
        message: `no operation is called ${name} in ${meant.map((tool) => tool.name).join(', ')}`,
        fix: `Correct the name; known are ${[...(operations ?? [])].sort().join(', ')}.`,
      }),
    ),
  ];
}

/** What is only possible must not help an action, and what is only certain must not be all that stops it: either lets through what it should not. */
function wrongSides(policy: Policy, { id, effect, place }: Rule): readonly Finding[] {
  const wrong = policy.historyUsesOf(id).filter(({ count, appliesWith }) => {
    if (appliesWith === undefined) return false;
    const helps = (appliesWith === 'more') === (effect === 'permit');
    return helps === (count === 'possible');
  });
  const named = new Map(wrong.map((use) => [`${use.fact}.${use.count}`, use]));
  return [...named.values()].map(({ fact, count }) =>
    finding('history-side', {
      at: place,
      id,
      message:
        count === 'possible'
          ? `more of ${fact}.possible lets an action through, although it counts what may never have happened`
          : `more of ${fact}.done stops an action, and what is under way or unknown is not counted in it`,
      fix: count === 'possible' ? 'Read done.' : 'Read possible.',
    }),
  );
}
