/** The archive: every action of the tenant, searched and filtered, page by page. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import { OUTCOME_STATUSES } from '../../../action/outcome.js';
import type { ArchivedAction } from '../../../ledger/index.js';
import { Sanitized } from '../components/sanitized-text.js';
import { actionPath } from './inbox.js';
import { Empty, Environment, More, Status, When } from '../components/parts.js';

export const STATUSES = ['pending', 'open', ...OUTCOME_STATUSES] as const;

export interface HistoryFilter {
  readonly text?: string | undefined;
  readonly status?: (typeof STATUSES)[number] | undefined;
  readonly tool?: string | undefined;
  readonly agent?: string | undefined;
  readonly environment?: string | undefined;
  readonly policy?: string | undefined;
  /** Days, `2026-11-21`. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

interface HistoryProps {
  readonly actions: readonly ArchivedAction[];
  readonly filter: HistoryFilter;
  readonly next?: string | undefined;
  readonly now: Date;
}

export function History({ actions, filter, next, now }: HistoryProps): JSX.Element {
  const query = new URLSearchParams(
    Object.entries({ ...filter, text: undefined, q: filter.text, after: next }).filter(
      (pair): pair is [string, string] => typeof pair[1] === 'string',
    ),
  );
  return (
    <>
      <div class="heading">
        <h1>History</h1>
      </div>
      <Search filter={filter} />
      {actions.length === 0 ? (
        <Empty title="No actions found">
          {Object.values(filter).some((value) => value !== undefined) ? (
            <>
              No action matches these filters. <a href="/history">Show everything</a>.
            </>
          ) : (
            'Actions appear here as soon as an agent proposes one.'
          )}
        </Empty>
      ) : (
        <div class="sheet" tabindex={0} role="region" aria-label="Actions found">
          <table>
            <thead>
              <tr>
                <th scope="col">Outcome</th>
                <th scope="col">Action</th>
                <th scope="col">Environment</th>
                <th scope="col">Agent</th>
                <th scope="col">When</th>
                <th scope="col" class="number">
                  Receipt
                </th>
              </tr>
            </thead>
            <tbody>
              {actions.map((action) => (
                <Row action={action} now={now} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <More href={next === undefined ? undefined : `/history?${query.toString()}`} label="Earlier actions" />
    </>
  );
}

function Row({ action, now }: { readonly action: ArchivedAction; readonly now: Date }): JSX.Element {
  const { actionId, status, tool, agent, environment, summary, reason, proposedAt, endedAt, receipt, resolved } =
    action;
  return (
    <tr>
      <td>
        <Status status={status === 'open' ? 'running' : status} />
        {resolved ? <span class="tag">resolved by a person</span> : null}
      </td>
      <td>
        <a href={actionPath(actionId)} data-row>
          <Sanitized text={summary ?? actionId} max={140} />
        </a>
        {reason === undefined ? null : (
          <p>
            <Sanitized text={reason} max={140} />
          </p>
        )}
      </td>
      <td>
        {environment === undefined ? null : <Environment name={environment} />}
        <p>
          <Sanitized text={tool} max={63} />
        </p>
      </td>
      <td>
        <Sanitized text={agent ?? '—'} max={60} />
      </td>
      <td>
        <When at={endedAt ?? proposedAt} now={now} />
      </td>
      <td class="number">{receipt === undefined ? '' : `#${receipt.seq}`}</td>
    </tr>
  );
}

function Search({ filter }: { readonly filter: HistoryFilter }): JSX.Element {
  const { text, status, tool, agent, environment, policy, from, to } = filter;
  const fields: readonly (readonly [name: string, label: string, value: string | undefined])[] = [
    ['tool', 'Tool', tool],
    ['agent', 'Agent', agent],
    ['environment', 'Environment', environment],
    ['policy', 'Policy', policy],
  ];
  return (
    <form class="filters search" role="search" method="get" action="/history">
      <label>
        <span class="visually-hidden">Search</span>
        <input type="search" name="q" value={text ?? ''} placeholder="Search" maxlength={128} data-search />
      </label>
      <label>
        <span class="visually-hidden">Outcome</span>
        <select name="status">
          <option value="">Any outcome</option>
          {STATUSES.map((name) => (
            <option value={name} selected={name === status}>
              {name === 'open' ? 'running' : name}
            </option>
          ))}
        </select>
      </label>
      {fields.map(([name, label, value]) => (
        <label>
          <span class="visually-hidden">{label}</span>
          <input name={name} value={value ?? ''} placeholder={label} maxlength={128} autocomplete="off" />
        </label>
      ))}
      <label class="day">
        From
        <input type="date" name="from" value={from ?? ''} />
      </label>
      <label class="day">
        until
        <input type="date" name="to" value={to ?? ''} />
      </label>
      <button class="button">Search</button>
    </form>
  );
}
