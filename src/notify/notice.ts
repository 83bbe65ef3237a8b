/** What people are told of an action, made of what the ledger has of it. It holds no row, no input and no secret: the page it links to shows those. */
import type { OutcomeStatus, Shown, Verdict } from '../action/outcome.js';
import { digest } from '../action/json.js';
import { CountersignError } from '../action/errors.js';
import { oneLine } from './one-line.js';

/**
 * `asked`: people are needed; `reminded`: they still are; `escalated`: others may decide as well from now on; `decided`: they have;
 * `ended`: an action that they were asked about has an outcome.
 */
export const NOTICE_KINDS = ['asked', 'reminded', 'escalated', 'decided', 'ended'] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

/** The kinds that want something of people. They are pointless once it is not wanted any more. */
export const ASKING: ReadonlySet<NoticeKind> = new Set(['asked', 'reminded', 'escalated']);

/** That something is to be told. Only what names it: the rest is read from the ledger, so that access to Temporal cannot make up a text. */
export interface Announcement {
  readonly tenant: string;
  readonly actionId: string;
  /** Running number of the announcements of an action's workflow, from 0. */
  readonly n: number;
  readonly kind: NoticeKind;
  /** Whom in particular: the roles that may decide as well from now on. Those that no requirement names are left out. */
  readonly roles?: readonly string[];
}

/** What the ledger has of an action that people were asked about. */
export interface ActionSummary {
  readonly shown: Shown;
  /** RFC 3339 UTC. */
  readonly expiresAt: string;
  /** Whether people are still waited for. */
  readonly open: boolean;
  readonly decisions: readonly { readonly by: string; readonly verdict: Verdict }[];
  /** Once the action has ended. */
  readonly status?: OutcomeStatus;
}

export interface Notice {
  readonly kind: NoticeKind;
  readonly n: number;
  readonly tenant: string;
  readonly actionId: string;
  /** One line: `update, 3 rows of orders`. */
  readonly summary: string;
  readonly tool: string;
  readonly environment: string;
  readonly agent: string;
  /** Why, in the agent's words: anything can be in there. At most 500 characters, on one line. */
  readonly reasoning?: string;
  /** What is asked for: the policies' texts. */
  readonly requirements: readonly {
    readonly reason: string;
    readonly roles: readonly string[];
    readonly quorum: number;
  }[];
  /** Whom the notice is for. */
  readonly roles: readonly string[];
  /** Until when people may decide. RFC 3339 UTC. */
  readonly expiresAt: string;
  /** Who has decided what so far. */
  readonly decisions: readonly { readonly by: string; readonly verdict: Verdict }[];
  /** Once the action has ended. */
  readonly status?: OutcomeStatus;
  /** The action's page. Whoever opens it logs in first. */
  readonly link: string;
  /** When it was announced, RFC 3339 UTC. */
  readonly at: string;
}

const MAX = { line: 200, reasoning: 500, name: 80, list: 10, roles: 50 } as const;

export interface NoticeOptions {
  readonly gatewayUrl: string;
  /** Milliseconds since the epoch. */
  readonly announcedAt: number;
  /** Whether the agent's words go along. */
  readonly reasoning: boolean;
  /** Whether the tool's own line is told, which may quote the input, rather than one made of facts. */
  readonly toolSummary: boolean;
}

export function noticeOf(announcement: Announcement, story: ActionSummary, options: NoticeOptions): Notice {
  const { tenant, actionId, n, kind } = announcement;
  const { shown, expiresAt, decisions, status } = story;
  const { reasoning } = shown.proposal;
  return {
    kind,
    n,
    tenant,
    actionId,
    summary: oneLine(options.toolSummary ? shown.preview.summary : factsOf(shown), MAX.line),
    tool: oneLine(shown.tool.name, MAX.name),
    environment: oneLine(shown.tool.environment, MAX.name),
    agent: oneLine(shown.agent.id, MAX.line),
    ...(options.reasoning && reasoning !== undefined && reasoning !== ''
      ? { reasoning: oneLine(reasoning, MAX.reasoning) }
      : {}),
    requirements: shown.requirements.slice(0, MAX.list).map(({ reason, roles, quorum }) => ({
      reason: oneLine(reason, MAX.line),
      roles: names(roles),
      quorum,
    })),
    roles: names(rolesFor(announcement, shown)),
    expiresAt,
    decisions: decisions.slice(-MAX.list).map(({ by, verdict }) => ({ by: oneLine(by, MAX.line), verdict })),
    ...(status === undefined ? {} : { status }),
    link: new URL(`actions/${encodeURIComponent(actionId)}`, withSlash(options.gatewayUrl)).href,
    at: new Date(options.announcedAt).toISOString(),
  };
}

/** Why there is no point in telling it any more. */
export function pointless(
  { kind }: Pick<Announcement, 'kind'>,
  { open, status, expiresAt }: ActionSummary,
): string | undefined {
  if (!ASKING.has(kind)) return undefined;
  if (status !== undefined) return `the action has ended: ${status}`;
  if (!open) return 'nobody is waited for any more';
  return Date.parse(expiresAt) < Date.now() ? 'the time to decide is over' : undefined;
}

/**
 * By which a repeat is recognised: the same for every attempt, and another for every other notice and channel. `ntc_` and 48 hex
 * digits of a SHA-256.
 */
export function deliveryId({ tenant, actionId, n, kind }: Announcement, channel: string): string {
  return `ntc_${digest({ tenant, actionId, n, kind, channel }).slice('sha256:'.length, 'sha256:'.length + 48)}`;
}

/** Anybody with access to Temporal can start a workflow with anything. @throws CountersignError INTERNAL, not to be retried */
export function checkedAnnouncement(value: unknown): Announcement {
  const { tenant, actionId, n, kind, roles } = (value ?? {}) as Record<string, unknown>;
  const known = NOTICE_KINDS.find((one) => one === kind);
  const named = Array.isArray(roles) ? roles.filter((role) => typeof role === 'string') : undefined;
  if (typeof tenant === 'string' && typeof actionId === 'string' && Number.isSafeInteger(n) && known !== undefined) {
    return { tenant, actionId, n: n as number, kind: known, ...(named === undefined ? {} : { roles: named }) };
  }
  throw new CountersignError('NOT_FOUND', 'What is to be announced does not have the right shape.');
}

/** Made of names and numbers that the operator's side gave: no value of the input is in it. */
function factsOf({ operation, preview: { rows, targets, reads, schemaChange } }: Shown): string {
  const places = targets.length > 0 ? targets : reads;
  const few = places.slice(0, 5).join(', ');
  const more = places.length > 5 ? ` and ${places.length - 5} more` : '';
  const where = few === '' ? '' : ` of ${few}${more}`;
  return `${operation}, ${rows} ${rows === 1 ? 'row' : 'rows'}${where}${schemaChange ? ', changes the schema' : ''}`;
}

function rolesFor({ kind, roles }: Announcement, { requirements }: Shown): readonly string[] {
  const own = requirements.flatMap((one) => one.roles);
  const others = requirements.flatMap(({ escalations = [] }) => escalations.flatMap((one) => one.roles));
  const all = [...new Set([...own, ...others])];
  if (roles !== undefined) return all.filter((role) => roles.includes(role));
  if (kind === 'escalated') return [...new Set(others)];
  return ASKING.has(kind) ? [...new Set(own)] : all;
}

function names(given: readonly string[]): string[] {
  return given.slice(0, MAX.roles).map((name) => oneLine(name, MAX.name));
}

function withSlash(url: string): string {
  return url.endsWith('/') ? url : `${url}/`;
}
