/** Builds notices about actions from the ledger. A notice contains no rows, input or secret; the page that it links to shows those. */
import type { OutcomeStatus, Shown, Verdict } from '../action/outcome.js';
import { digest } from '../action/json.js';
import type { Source } from '../action/proposal.js';
import { CountersignError } from '../action/errors.js';
import { textWarnings } from '../presentation/text-warnings.js';
import { isCut, oneLine } from './one-line.js';

/**
 * `asked`: people must decide; `reminded`: they still must; `escalated`: others may decide as well from now on; `decided`: people have
 * decided; `ended`: an action that people were asked about has an outcome.
 */
export const NOTICE_KINDS = ['asked', 'reminded', 'escalated', 'decided', 'ended'] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

/** The kinds that ask people to decide. They are obsolete once no decision is needed any more. */
export const ASKING: ReadonlySet<NoticeKind> = new Set(['asked', 'reminded', 'escalated']);

/** An order to notify people. It only identifies the notice; the text is built from the ledger, so nobody can forge it through Temporal. */
export interface Announcement {
  readonly tenant: string;
  readonly actionId: string;
  /** The number of this announcement in the action's workflow, from 0. */
  readonly n: number;
  readonly kind: NoticeKind;
  /** For `escalated`: the roles that may decide as well from now on. A role that no requirement names is ignored. */
  readonly roles?: readonly string[];
}

/** What the ledger knows about an action that people were asked about. */
export interface ActionSummary {
  readonly shown: Shown;
  /** Until when people may decide. RFC 3339 UTC. */
  readonly expiresAt: string;
  /** Whether the action still waits for people. */
  readonly open: boolean;
  readonly decisions: readonly { readonly by: string; readonly verdict: Verdict }[];
  /** Once the action has ended. */
  readonly status?: OutcomeStatus;
  /** It was no action, but a canary that is over. */
  readonly canary?: true;
}

export interface Notice {
  readonly kind: NoticeKind;
  readonly n: number;
  readonly tenant: string;
  readonly actionId: string;
  /** The action on one line: `update, 3 rows of orders`. */
  readonly summary: string;
  readonly tool: string;
  readonly environment: string;
  readonly agent: string;
  /** The agent's reasoning, which can contain anything. At most 500 characters of its two ends, on one line. */
  readonly reasoning?: string;
  /** What led to the proposal, as the agent says, the untrusted first; at most 10. */
  readonly from?: readonly Source[];
  /** Something is left out of the texts here: the whole is on the page behind the link. */
  readonly cut?: true;
  /** What to look at twice on the page: texts whose end is out of sight, names that mix scripts. */
  readonly warnings?: readonly string[];
  /** The requirements for an approval, with the policies' reasons. */
  readonly requirements: readonly {
    readonly reason: string;
    readonly roles: readonly string[];
    readonly quorum: number;
  }[];
  /** The roles that the notice is for. */
  readonly roles: readonly string[];
  /** Until when people may decide. RFC 3339 UTC. */
  readonly expiresAt: string;
  /** Who has decided what so far. */
  readonly decisions: readonly { readonly by: string; readonly verdict: Verdict }[];
  /** Once the action has ended. */
  readonly status?: OutcomeStatus;
  /** It was no action, but a canary that is over: who decided what is nobody else's business. */
  readonly canary?: true;
  /** The URL of the action's page, which requires a login. */
  readonly link: string;
  /** When the notice was announced. RFC 3339 UTC. */
  readonly at: string;
}

const MAX = { line: 200, reasoning: 500, name: 80, list: 10, roles: 50 } as const;

export interface NoticeOptions {
  readonly gatewayUrl: string;
  /** Milliseconds since the epoch. */
  readonly announcedAt: number;
  /** Whether the notice contains the agent's words: its reasoning, and what led to the proposal. */
  readonly reasoning: boolean;
  /** Whether the summary is the tool's own, which may quote the input, rather than one built from facts. */
  readonly toolSummary: boolean;
}

export function noticeOf(announcement: Announcement, summary: ActionSummary, options: NoticeOptions): Notice {
  const { tenant, actionId, n, kind } = announcement;
  const { shown, expiresAt, decisions, status, canary } = summary;
  const { reasoning } = shown.proposal;
  const line = options.toolSummary ? shown.preview.summary : factsOf(shown);
  const words = options.reasoning && reasoning !== undefined && reasoning !== '' ? reasoning : undefined;
  const from = options.reasoning ? (shown.proposal.from ?? []) : [];
  const cut =
    isCut(line, MAX.line) ||
    (words !== undefined && isCut(words, MAX.reasoning)) ||
    from.length > MAX.list ||
    from.some(({ source }) => isCut(source, MAX.name));
  const warnings = textWarnings(shown, { quote: false });
  return {
    kind,
    n,
    tenant,
    actionId,
    summary: oneLine(line, MAX.line),
    tool: oneLine(shown.tool.name, MAX.name),
    environment: oneLine(shown.tool.environment, MAX.name),
    agent: oneLine(shown.agent.id, MAX.line),
    ...(words === undefined ? {} : { reasoning: oneLine(words, MAX.reasoning) }),
    ...(from.length === 0 ? {} : { from: sourcesOf(from) }),
    ...(cut ? { cut } : {}),
    ...(warnings.length === 0 ? {} : { warnings }),
    requirements: shown.requirements.slice(0, MAX.list).map(({ reason, roles, quorum }) => ({
      reason: oneLine(reason, MAX.line),
      roles: names(roles),
      quorum,
    })),
    roles: names(rolesFor(announcement, shown)),
    expiresAt,
    decisions: decisions.slice(-MAX.list).map(({ by, verdict }) => ({ by: oneLine(by, MAX.line), verdict })),
    ...(status === undefined ? {} : { status }),
    ...(canary === undefined ? {} : { canary }),
    link: new URL(`actions/${encodeURIComponent(actionId)}`, withSlash(options.gatewayUrl)).href,
    at: new Date(options.announcedAt).toISOString(),
  };
}

function sourcesOf(from: readonly Source[]): readonly Source[] {
  const untrustedFirst = from.toSorted((a, b) => Number(a.trust === 'trusted') - Number(b.trust === 'trusted'));
  return untrustedFirst.slice(0, MAX.list).map(({ source, trust }) => ({ source: oneLine(source, MAX.name), trust }));
}

/** Why an announcement is obsolete; undefined when it is not. */
export function obsoleteReason(
  { kind }: Pick<Announcement, 'kind'>,
  { open, status, expiresAt }: ActionSummary,
): string | undefined {
  if (!ASKING.has(kind)) return undefined;
  if (status !== undefined) return `the action has ended: ${status}`;
  if (!open) return 'nobody is waited for any more';
  return Date.parse(expiresAt) < Date.now() ? 'the time to decide is over' : undefined;
}

/**
 * The id by which receivers recognize a repeat. It is the same for all attempts, and different for every other notice and channel. It is
 * `ntc_` and 48 hex digits of a SHA-256.
 */
export function deliveryId({ tenant, actionId, n, kind }: Announcement, channel: string): string {
  return `ntc_${digest({ tenant, actionId, n, kind, channel }).slice('sha256:'.length, 'sha256:'.length + 48)}`;
}

/** Validates an announcement: whoever has access to Temporal can start a workflow with any input. @throws CountersignError NOT_FOUND */
export function checkedAnnouncement(value: unknown): Announcement {
  const { tenant, actionId, n, kind, roles } = (value ?? {}) as Record<string, unknown>;
  const knownKind = NOTICE_KINDS.find((one) => one === kind);
  const knownRoles = Array.isArray(roles) ? roles.filter((role) => typeof role === 'string') : undefined;
  if (
    typeof tenant === 'string' &&
    typeof actionId === 'string' &&
    Number.isSafeInteger(n) &&
    knownKind !== undefined
  ) {
    return {
      tenant,
      actionId,
      n: n as number,
      kind: knownKind,
      ...(knownRoles === undefined ? {} : { roles: knownRoles }),
    };
  }
  throw new CountersignError('NOT_FOUND', 'What is to be announced does not have the right shape.');
}

/** Summarizes the action by names and numbers only, without any value of the input. */
function factsOf({ operation, preview: { rows, targets, reads, schemaChange } }: Shown): string {
  const tables = targets.length > 0 ? targets : reads;
  const listed = tables.slice(0, 5).join(', ');
  const more = tables.length > 5 ? ` and ${tables.length - 5} more` : '';
  const where = listed === '' ? '' : ` of ${listed}${more}`;
  return `${operation}, ${rows} ${rows === 1 ? 'row' : 'rows'}${where}${schemaChange ? ', changes the schema' : ''}`;
}

function rolesFor({ kind, roles }: Announcement, { requirements }: Shown): readonly string[] {
  const own = requirements.flatMap((requirement) => requirement.roles);
  const others = requirements.flatMap(({ escalations = [] }) => escalations.flatMap((escalation) => escalation.roles));
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
