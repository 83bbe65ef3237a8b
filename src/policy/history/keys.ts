/** The marks under which an action is found by later ones, and under which it looks for earlier ones: digests, so that no value can imitate another. */
import type { Facts } from '../../action/decision.js';
import type { HistoryScope } from '../../action/history.js';
import { canonical, digestText, type Json, type JsonObject } from '../../action/json.js';
import type { LimitedProposal } from '../limits/reading.js';
import type { HistoryFact } from './fact.js';

/** What marks are asked for: those that an action leaves, those of actions that certainly count for it, those that may. */
type View = 'left' | 'certain' | 'possible';

/** The marks of a fact for an action. They hang on what the fact counts and where, not on its id, its window or its outcomes: these can be changed. */
export function marksOf(
  { of, scope, same }: HistoryFact,
  facts: Facts,
  proposal: LimitedProposal,
  view: View,
): readonly string[] {
  let places: readonly string[] = [''];
  for (const part of scope) {
    const parts = partsOf(part, facts, proposal.traceId, view);
    places = places.flatMap((place) => parts.map((value) => `${place}\n${value}`));
  }
  const values = same.map((path): Json => [path, argumentAt(proposal.input, path.split('.'))]);
  return [...new Set(places)].map((place) => digestText(canonical({ of, scope, same: values, place })));
}

/**
 * A task is what has one trace id. What has none may belong to any task of its agent, and belongs to none for certain: leaving the trace id
 * out neither hides an action from those that ask what may have been, nor lends it to those that ask what certainly was.
 */
function partsOf(scope: HistoryScope, facts: Facts, traceId: string | undefined, view: View): readonly string[] {
  const agent = `agent=${encodeURIComponent(facts.agent.via?.[0] ?? facts.agent.id)}`;
  switch (scope) {
    case 'tenant':
      return [''];
    case 'agent':
      return [agent];
    case 'task': {
      const untraced = `task=,${agent}`;
      if (traceId === undefined)
        return view === 'left' ? [untraced, `any,${agent}`] : view === 'certain' ? [] : [`any,${agent}`];
      const task = `task=${encodeURIComponent(traceId)}`;
      return view === 'left' ? [task, `any,${agent}`] : view === 'certain' ? [task] : [task, untraced];
    }
    case 'target': {
      const { targets, reads } = facts.preview;
      const touched = targets.length > 0 ? targets : reads;
      if (touched.length > 0) return touched.map((target) => `target=${encodeURIComponent(target.toLowerCase())}`);
      return view === 'certain' ? [] : ['target='];
    }
  }
}

/** In a list, so that an argument that is null is not one that is absent. */
function argumentAt(input: JsonObject, path: readonly string[]): readonly Json[] {
  let at: Json | undefined = input;
  for (const name of path) {
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, name)) return [];
    at = (at as JsonObject)[name];
  }
  return at === undefined ? [] : [at];
}
