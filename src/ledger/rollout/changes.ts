/** The states of policy bundles, and the changes that gave them these. */
import { sql } from 'kysely';
import { CountersignError } from '../../action/errors.js';
import { withoutUndefined, type Digest } from '../../action/json.js';
import type {
  OrderedPolicyChange,
  PlacedPolicy,
  PolicyChange,
  PolicyChangeKind,
  PolicyState,
  ShownChange,
  StatedPolicy,
} from '../../action/policy-rollout.js';
import type { Database } from '../database/database.js';
import { shownChanges } from './shown-changes.js';

export interface Publication {
  readonly digest: Digest;
  readonly by: string;
  readonly reason: string;
}

export interface ChangeRequest {
  /** Of the signed command that orders it. */
  readonly id: string;
  /** Its number: one after the latest that was ever made. */
  readonly seq: number;
  readonly kind: OrderedPolicyChange;
  readonly digest: Digest;
  readonly by: string;
  /** Everybody who signed it, with what they signed, in the same order. */
  readonly people: readonly string[];
  readonly statements: readonly string[];
  readonly reason: string;
  readonly evidence?: Digest | undefined;
  /** The workers' signature over the change. */
  readonly signed: string;
}

interface ChangeRow {
  readonly seq: string;
  readonly kind: PolicyChangeKind;
  readonly digest: Digest;
  readonly replaced: Digest | null;
  readonly changed_by: string;
  readonly people: readonly string[];
  readonly reason: string;
  readonly evidence: Digest | null;
  readonly at: Date;
}

type Answer =
  | { readonly seq: number; readonly made: boolean }
  | { readonly late: true }
  | { readonly refused: true; readonly state: PolicyState | null; readonly active: Digest | null };

const MOST_LISTED = 1000;

export async function publish(
  database: Database,
  { digest, by, reason }: Publication,
): Promise<{ readonly policy: StatedPolicy; readonly made: boolean }> {
  const answer = await call(database, { id: `publish:${digest}`, kind: 'publish', digest, by, reason });
  const [row] = await database.rows({
    name: 'policy_state',
    query: sql<StateRow>`select digest, state, seq from ${database.table('policy_states')} where digest = ${digest}`,
  });
  if (row === undefined) throw new CountersignError('INTERNAL', 'A policy that was published has no state.');
  return { policy: toState(row), made: 'made' in answer && answer.made };
}

export async function changePolicy(database: Database, request: ChangeRequest): Promise<PolicyChange | undefined> {
  const { id, kind, digest } = request;
  const answer = await call(database, request);
  if ('late' in answer) return undefined;
  if ('refused' in answer) throw inNoStateFor(kind, digest, answer.state);
  return findChange(database, id);
}

/** What nobody signs has no number to be signed for. */
type Call = Omit<Partial<ChangeRequest>, 'kind'> &
  Pick<ChangeRequest, 'id' | 'digest' | 'by' | 'reason'> & { readonly kind: PolicyChangeKind };

async function call(database: Database, given: Call): Promise<Answer> {
  const { id, seq = null, kind, digest, by, people = [], statements = [], reason, evidence, signed = null } = given;
  const [row] = await database.rows({
    name: 'change_policy',
    query: sql<{ answer: Answer }>`
      select ${sql.id(database.schema, 'change_policy')}(${seq}, ${id}, ${kind}, ${digest}, ${by}, ${people}::text[], ${reason},
        ${evidence ?? null}, ${statements}::text[], ${signed}) as answer`,
  });
  return (row as { answer: Answer }).answer;
}

function inNoStateFor(kind: OrderedPolicyChange, digest: Digest, state: PolicyState | null): CountersignError {
  const wanted: Readonly<Record<OrderedPolicyChange, string>> = {
    shadow: 'a draft or a retired policy',
    promote: 'a published policy',
    rollback: 'a policy that was active before, and is not now',
    retire: 'a draft, or the policy that shadows',
  };
  return new CountersignError(
    'POLICY_CONFLICT',
    `${digest} is ${state ?? 'not published'}, and cannot be the object of ${kind}.`,
    {
      field: 'command.subject',
      expected: wanted[kind],
      fix:
        kind === 'retire' && state === 'active'
          ? 'Promote another policy or roll back; to stop everything, use countersign freeze --all.'
          : 'Look at countersign policy status, then order it again.',
    },
  );
}

export async function findChange(database: Database, id: string): Promise<PolicyChange | undefined> {
  const [row] = await database.rows({
    name: 'find_policy_change',
    query: sql<ChangeRow>`select * from ${database.table('policy_changes')} where id = ${id}`,
  });
  return row && toChange(row);
}

interface StateRow {
  readonly digest: Digest;
  readonly state: PolicyState;
  readonly seq: string;
}

export async function states(database: Database): Promise<readonly StatedPolicy[]> {
  const rows = await database.rows({
    name: 'policy_states',
    query: sql<StateRow>`
      select digest, state, seq from ${database.table('policy_states')} order by seq desc, digest limit ${sql.lit(MOST_LISTED)}`,
  });
  return rows.map(toState);
}

export interface Placed {
  /** The number of the latest change in the history. */
  readonly latest: number;
  readonly policies: readonly PlacedPolicy[];
  /** What shows a change of the active policy. */
  readonly shown: readonly ShownChange[];
}

export async function placed(database: Database): Promise<Placed> {
  const [changes, stated] = [database.table('policy_changes'), database.table('policy_states')];
  const rows = await database.rows({
    name: 'placed_policies',
    query: sql<{
      latest: string;
      shown: readonly ShownChange[];
      digest: Digest | null;
      state: 'active' | 'shadow';
      seq: string;
      signed: string;
    }>`
      select latest, ${shownChanges(database)} as shown, s.digest, s.state, s.seq, c.signed
      from (select coalesce(max(seq), 0) as latest from ${changes}) as l
      left join ${stated} as s on s.state in ('active', 'shadow')
      left join ${changes} as c on c.seq = s.seq`,
  });
  const policies = rows.flatMap(({ digest, state, seq, signed }) =>
    digest === null ? [] : [{ digest, state, since: Number(seq), signed }],
  );
  return { latest: Number(rows[0]?.latest ?? 0), policies, shown: rows[0]?.shown ?? [] };
}

export async function history(
  database: Database,
  { digest, limit = 100 }: { readonly digest?: Digest; readonly limit?: number },
): Promise<readonly PolicyChange[]> {
  const rows = await database.rows({
    name: 'policy_history',
    query: sql<ChangeRow>`
      select * from ${database.table('policy_changes')}
      where ${digest ?? null}::text is null or digest = ${digest ?? null} or replaced = ${digest ?? null}
      order by seq desc
      limit ${Math.min(limit, MOST_LISTED)}`,
  });
  return rows.map(toChange);
}

function toState({ digest, state, seq }: StateRow): StatedPolicy {
  return { digest, state, since: Number(seq) };
}

function toChange(row: ChangeRow): PolicyChange {
  return withoutUndefined({
    seq: Number(row.seq),
    kind: row.kind,
    digest: row.digest,
    replaced: row.replaced ?? undefined,
    by: row.changed_by,
    people: row.people,
    reason: row.reason,
    evidence: row.evidence ?? undefined,
    at: row.at.toISOString(),
  });
}
