/** The inbox: what waits for people, the most urgent first. */
import type { Child } from 'hono/jsx';
import type { JSX } from 'hono/jsx/jsx-runtime';
import { progress } from '../../action/quorum.js';
import type { ApprovalRequestFilter } from '../../ledger/index.js';
import type { ListedApprovalRequest } from '../../action/approval-request.js';
import { either, isProduction, urgency } from './format.js';
import { Inert } from './inert.js';
import { Empty, Environment, More, Status, TimeLeft, When } from './parts.js';

/** Something else that waits for a person: an outcome that nobody knows, or an undoing that failed. */
export interface Trouble {
  readonly kind: 'unknown' | 'compensation';
  readonly actionId: string;
  readonly summary: string;
  readonly agent?: string | undefined;
  readonly environment?: string | undefined;
  readonly since?: string | undefined;
}

export interface InboxProps {
  readonly asks: readonly ListedApprovalRequest[];
  readonly troubles: readonly Trouble[];
  readonly filter: InboxFilter;
  /** Of the page after this one. */
  readonly next?: string | undefined;
  /** Whether this is not the first page. */
  readonly further: boolean;
  readonly now: Date;
}

export interface InboxFilter extends Omit<ApprovalRequestFilter, 'roles'> {
  /** What this person may decide now. */
  readonly mine: boolean;
}

export function actionPath(actionId: string): string {
  return `/actions/${encodeURIComponent(actionId)}`;
}

export function Inbox(props: InboxProps): JSX.Element {
  const { asks, troubles, filter, next, further, now } = props;
  const filtered = isFiltered(filter);
  return (
    <>
      <div class="heading">
        <h1>Waiting for people</h1>
        <Filters filter={filter} />
      </div>
      <div id="waiting" data-live data-keyed>
        {asks.length === 0 && !further ? (
          <Nothing filtered={filtered} troubled={troubles.length > 0} />
        ) : (
          <ol class="asks" aria-label="Actions that wait, the most urgent first">
            {asks.map((ask) => (
              <AskRow ask={ask} now={now} />
            ))}
          </ol>
        )}
        <More href={next === undefined ? undefined : `/?${queryOf(filter, next)}`} label="Later ones" />
      </div>
      <div id="troubles" data-live data-keyed>
        {troubles.length === 0 ? null : (
          <section aria-labelledby="troubles-title" class="troubles">
            <h2 id="troubles-title">Somebody must find out</h2>
            <ol class="asks">
              {troubles.map((trouble) => (
                <TroubleRow trouble={trouble} now={now} />
              ))}
            </ol>
          </section>
        )}
      </div>
    </>
  );
}

export function isFiltered({ environment, tool, agent, text, mine }: InboxFilter): boolean {
  return mine || [environment, tool, agent, text].some((value) => value !== undefined);
}

function queryOf({ environment, tool, agent, text, mine }: InboxFilter, after: string): string {
  const given = { environment, tool, agent, q: text, ...(mine ? { mine: '1' } : {}), after };
  return new URLSearchParams(
    Object.entries(given).filter((pair): pair is [string, string] => pair[1] !== undefined),
  ).toString();
}

function Nothing({ filtered, troubled }: { readonly filtered: boolean; readonly troubled: boolean }): JSX.Element {
  if (filtered) {
    return (
      <Empty title="Nothing fits">
        Nothing that waits fits these filters. <a href="/">Show everything</a>.
      </Empty>
    );
  }
  return (
    <Empty title="Nothing waits for you">
      {troubled
        ? 'No action needs an approval. Below is something else that needs a person.'
        : 'When an agent proposes something that policy wants a person to see, it comes up here by itself.'}
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
        <input type="checkbox" name="mine" value="1" checked={mine} /> I may decide
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

function AskRow({ ask, now }: { readonly ask: ListedApprovalRequest; readonly now: Date }): JSX.Element {
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
          <Inert text={summary} max={200} />
        </a>
        <p>
          <Inert text={agent} max={80} /> asks on <Inert text={ask.tool} max={63} /> ·{' '}
          <When at={firstAskedAt} now={now} />
          {ask.revises === undefined ? null : <span class="tag">revised</span>}
        </p>
      </div>
      <div class="needs">
        <span class="label">needs</span>
        {missing.map(({ roles, have, need }) => (
          <span class="seat">
            {need - have} × <Inert text={either(roles)} max={80} />
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
  return [...(yes > 0 ? [`${yes} yes`] : []), ...(no > 0 ? [`${no} no`] : [])].join(', ');
}

function TroubleRow({ trouble, now }: { readonly trouble: Trouble; readonly now: Date }): JSX.Element {
  const { kind, actionId, summary, agent, environment, since } = trouble;
  return (
    <li id={`${kind}-${actionId}`} class="ask trouble" data-rev={`${kind}/${since ?? ''}`}>
      <div class="due">
        <Status status={kind === 'unknown' ? 'unknown' : 'failed'} />
        {environment === undefined ? null : <Environment name={environment} />}
      </div>
      <div class="what">
        <a href={actionPath(actionId)} data-row>
          <Inert text={summary} max={200} />
        </a>
        <p>
          {agent === undefined ? null : (
            <>
              by <Inert text={agent} max={80} />
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
        <span class="seat">{kind === 'unknown' ? 'did it happen?' : 'try again, or leave it?'}</span>
      </div>
    </li>
  );
}
