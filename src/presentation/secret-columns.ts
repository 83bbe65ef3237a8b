/** Strikes the values of columns that the operator declared secret out of what people are shown of an action. */
import type { Preview } from '../action/decision.js';
import type { Json, JsonObject } from '../action/json.js';
import type { ActionView, Outcome, PendingView } from '../action/outcome.js';
import type { Proposal } from '../action/proposal.js';
import type { PatchOperation, Snapshot } from '../action/snapshot.js';

/** What stands in the place of such a value. */
export const STRUCK = '⟨secret column, struck out⟩';

interface Shown {
  readonly view: ActionView;
  readonly proposal?: Proposal | undefined;
}

/** What is shown of an action, without the values of secret columns. A statement in SQL is shown as it is: its values belong in parameters. */
export function withoutSecretColumns<T extends Shown>(record: T): T {
  const { view, proposal } = record;
  const preview = view.pending?.shown.preview ?? view.outcome?.facts?.preview;
  const names = new Set(preview?.secretColumns);
  if (names.size === 0) return record;
  const { pending, outcome } = view;
  const struckView = {
    ...view,
    ...(pending === undefined ? {} : { pending: pendingWithout(pending, names) }),
    ...(outcome === undefined ? {} : { outcome: outcomeWithout(outcome, names) }),
  };
  return {
    ...record,
    view: struckView,
    ...(proposal === undefined ? {} : { proposal: proposalWithout(proposal, names) }),
  };
}

/** A value without the values of these columns, however deep they are in it. */
export function withoutColumns<T extends Json>(value: T, names: readonly string[] = []): T {
  return names.length === 0 ? value : struck(value, new Set(names));
}

type Names = ReadonlySet<string>;

function pendingWithout(pending: PendingView, names: Names): PendingView {
  const { shown } = pending;
  const { proposal, preview } = shown;
  return {
    ...pending,
    shown: { ...shown, proposal: proposalWithout(proposal, names), preview: previewWithout(preview, names) },
  };
}

function outcomeWithout(outcome: Outcome, names: Names): Outcome {
  const { facts, pre, post, delta, result } = outcome;
  return {
    ...outcome,
    ...(facts === undefined ? {} : { facts: { ...facts, preview: previewWithout(facts.preview, names) } }),
    ...(pre === undefined ? {} : { pre: snapshotWithout(pre, names) }),
    ...(post === undefined ? {} : { post: snapshotWithout(post, names) }),
    ...(delta === undefined ? {} : { delta: { ...delta, patch: delta.patch.map((one) => patchWithout(one, names)) } }),
    ...(result === undefined ? {} : { result: struck(result, names) }),
  };
}

function proposalWithout(proposal: Proposal, names: Names): Proposal {
  return { ...proposal, input: struck(proposal.input, names) };
}

function previewWithout(preview: Preview, names: Names): Preview {
  const { sample, rehearsal } = preview;
  const rows = rehearsal?.rows;
  return {
    ...preview,
    sample: sample.map((row) => struck(row, names)),
    ...(rehearsal === undefined || rows === undefined
      ? {}
      : { rehearsal: { ...rehearsal, rows: struck(rows as unknown as JsonObject, names) as unknown as typeof rows } }),
  };
}

function snapshotWithout(snapshot: Snapshot, names: Names): Snapshot {
  return snapshot.state === undefined ? snapshot : { ...snapshot, state: struck(snapshot.state, names) };
}

function patchWithout(operation: PatchOperation, names: Names): PatchOperation {
  if (operation.value === undefined) return operation;
  const column = operation.path.split('/')[3]?.replaceAll('~1', '/').replaceAll('~0', '~');
  const isSecret = column !== undefined && names.has(column);
  return { ...operation, value: isSecret ? STRUCK : struck(operation.value, names) };
}

/** Every member of that name, however deep; null stays, because it is no secret that there is none. */
function struck<T extends Json>(value: T, names: Names): T {
  if (Array.isArray(value)) return value.map((item: Json) => struck(item, names)) as unknown as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]: [string, Json]) => [
      name,
      names.has(name) && item !== null ? STRUCK : struck(item, names),
    ]),
  ) as T;
}
