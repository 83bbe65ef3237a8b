/** The inbox: approval requests, the most urgent first, and what else needs a person. */
import type { Child } from 'hono/jsx';
import type { JSX } from 'hono/jsx/jsx-runtime';
import { progress } from '../../../action/quorum.js';
import type { ListedApprovalRequest } from '../../../action/approval-request.js';
import type { ApprovalRequestFilter } from '../../../ledger/index.js';
import { either, isProduction, urgency } from '../components/format.js';
import { Sanitized } from '../components/sanitized-text.js';
import { Empty, Environment, More, Status, TimeLeft, When } from '../components/parts.js';

/** Something else that needs a person: an unknown outcome, or a compensation that failed. */
export interface Unresolved {
  readonly kind: 'unknown' | 'compensation';
  readonly actionId: string;
  readonly summary: string;
  readonly agent?: string | undefined;
  readonly environment?: string | undefined;
  readonly since?: string | undefined;
}

interface InboxProps {
  readonly asks: readonly ListedApprovalRequest[];
  readonly unresolved: readonly Unresolved[];
  readonly filter: InboxFilter;
  /** Of the page after this one. */
  readonly next?: string | undefined;
  /** Whether this is not the first page. */
  readonly further: boolean;
  readonly now: Date;
}

export interface InboxFilter extends Omit<ApprovalRequestFilter, 'roles'> {
  /** What this person can decide now. */
  readonly mine: boolean;
}

export function actionPath(actionId: string): string {
  return `/actions/${encodeURIComponent(actionId)}`;
}

export function Inbox(props: InboxProps): JSX.Element {
  const { asks, unresolved, filter, next, further, now } = props;
  const filtered = isFiltered(filter);
  return (
    <>
      <div class="heading">
        <h1>Approval requests</h1>
        <Filters filter={filter} />
      </div>
      <div id="waiting" data-live>
        {asks.length === 0 && !further ? (
          <Nothing filtered={filtered} unresolvedBelow={unresolved.length > 0} />
        ) : (
          <ol class="asks" aria-label="Actions that wait, the most urgent first">
            {asks.map((ask) => (
              <RequestRow request={ask} now={now} />
            ))}
          </ol>
        )}
        <More href={next === undefined ? undefined : `/?${queryOf(filter, next)}`} label="Next page" />
      </div>
      <div id="unresolved" data-live>
        {unresolved.length === 0 ? null : (
          <section aria-labelledby="unresolved-title" class="unresolved-list">
            <h2 id="unresolved-title">Needs a person</h2>
            <ol class="asks">
              {unresolved.map((item) => (
                <UnresolvedRow item={item} now={now} />
              ))}
            </ol>
          </section>
        )}
      </div>
    </>
  );
}

function isFiltered({ environment, tool, agent, text, mine }: InboxFilter): boolean {
  return mine || [environment, tool, agent, text].some((value) => value !== undefined);
}

function queryOf({ environment, tool, agent, text, mine }: InboxFilter, after: string): string {
  const given = { environment, tool, agent, q: text, ...(mine ? { mine: '1' } : {}), after };
  return new URLSearchParams(
    Object.entries(given).filter((pair): pair is [string, string] => pair[1] !== undefined),
  ).toString();
}

function Nothing({
  filtered,
  unresolvedBelow,
}: {
  readonly filtered: boolean;
  readonly unresolvedBelow: boolean;
}): JSX.Element {
  if (filtered) {
    return (
      <Empty title="No matches">
        No approval request matches these filters. <a href="/">Show everything</a>.
      </Empty>
    );
  }
  return (
    <Empty title="No approval requests">
      {unresolvedBelow
        ? 'No action needs an approval. Something else below needs a person.'
        : 'Actions that need a person’s approval appear here by themselves.'}
    </Empty>
  );
}

function Filters({ filter }: { readonly filter: InboxFilter }): JSX.Element {
  const { environment, tool, agent, text, mine } = filter;
  const field = (name: string, label: string, value: string | undefined, more: Record<string, string> = {}): Child => (
    <label>
      <span class="visually-hidden">{label}</span>
      <input name={name} value={value ?? ''} placeholder={label} maxlength={128} autocomplete="off" {...more} />
    </label>
  );
  return (
    <form class="filters" role="search" method="get" action="/">
      {field('q', 'Search', text, { type: 'search', 'data-search': '' })}
      {field('environment', 'Environment', environment)}
      {field('tool', 'Tool', tool)}
      {field('agent', 'Agent', agent)}
      <label class="check">
        <input type="checkbox" name="mine" value="1" checked={mine} /> I can decide
      </label>
      <button class="button">Filter</button>
      {isFiltered(filter) ? (
        <a class="button quiet" href="/">
          Clear
        </a>
      ) : null}
    </form>
  );
}

function RequestRow({
  request: ask,
  now,
}: {
  readonly request: ListedApprovalRequest;
  readonly now: Date;
}): JSX.Element {
  const { actionId, environment, summary, agent, expiresAt, firstAskedAt, decisions, requirements, shownDigest } = ask;
  const missing = progress(requirements, decisions).missing;
  const tone = `${urgency(expiresAt, now)}${isProduction(environment) ? ' production' : ''}`;
  return (
    <li id={`ask-${actionId}`} class={`ask ${tone}`} data-rev={`${shownDigest}/${decisions.length}`}>
      <div class="due">
        <TimeLeft until={expiresAt} now={now} />
        <Environment name={environment} />
      </div>
      <div class="what">
        <a href={actionPath(actionId)} data-row>
          <Sanitized text={summary} max={200} />
        </a>
        <p>
          <Sanitized text={agent} max={80} /> proposes this on <Sanitized text={ask.tool} max={63} /> ·{' '}
          <When at={firstAskedAt} now={now} />
          {ask.revises === undefined ? null : <span class="tag">revised</span>}
        </p>
      </div>
      <div class="needs">
        <span class="label">needs</span>
        {missing.map(({ roles, have, need }) => (
          <span class="seat">
            {need - have} × <Sanitized text={either(roles)} max={80} />
          </span>
        ))}
        {requirements.some(({ passkey }) => passkey === true) ? <span class="tag">passkey</span> : null}
        {decisions.length > 0 ? <span class="given">{given(ask)}</span> : null}
      </div>
    </li>
  );
}

function given({ decisions }: ListedApprovalRequest): string {
  const yes = decisions.filter(({ verdict }) => verdict === 'approve').length;
  const no = decisions.filter(({ verdict }) => verdict === 'deny').length;
  return [...(yes > 0 ? [`${yes} approved`] : []), ...(no > 0 ? [`${no} denied`] : [])].join(', ');
}

function UnresolvedRow({ item, now }: { readonly item: Unresolved; readonly now: Date }): JSX.Element {
  const { kind, actionId, summary, agent, environment, since } = item;
  return (
    <li id={`${kind}-${actionId}`} class="ask unresolved" data-rev={`${kind}/${since ?? ''}`}>
      <div class="due">
        <Status status={kind === 'unknown' ? 'unknown' : 'failed'} />
        {environment === undefined ? null : <Environment name={environment} />}
      </div>
      <div class="what">
        <a href={actionPath(actionId)} data-row>
          <Sanitized text={summary} max={200} />
        </a>
        <p>
          {agent === undefined ? null : (
            <>
              by <Sanitized text={agent} max={80} />
            </>
          )}
          {since === undefined ? null : (
            <>
              {' '}
              · <When at={since} now={now} />
            </>
          )}
        </p>
      </div>
      <div class="needs">
        <span class="seat">{kind === 'unknown' ? 'did it happen?' : 'retry or accept?'}</span>
      </div>
    </li>
  );
}
