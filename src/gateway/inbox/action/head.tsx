/** The head of an action's page: what it is, who proposes it, and where it belongs among others. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { ActionView } from '../../../action/outcome.js';
import type { Proposal } from '../../../action/proposal.js';
import { Sanitized } from '../components/sanitized-text.js';
import { Environment, Status, TimeLeft, When } from '../components/parts.js';
import { actionPath } from '../lists/inbox.js';

interface HeadProps {
  readonly view: ActionView;
  /** As it was proposed, where it is known. */
  readonly proposal?: Proposal | undefined;
  readonly askedAt?: string | undefined;
  /** Those proposed instead of it. */
  readonly revisedBy: readonly string[];
  readonly environment: string | undefined;
  readonly now: Date;
}

export function Head({ view, proposal, askedAt, revisedBy, environment, now }: HeadProps): JSX.Element {
  const { pending, outcome, actionId, tool } = view;
  const subject = pending?.shown ?? outcome?.facts;
  const revises = (pending?.shown.proposal ?? proposal)?.revises;
  return (
    <header class="subject">
      <p class="crumbs">
        <a href={pending === undefined ? '/history' : '/'}>{pending === undefined ? 'History' : 'Inbox'}</a>
        <span aria-hidden="true">/</span>
        <code>
          <Sanitized text={actionId} max={128} />
        </code>
      </p>
      <p class="where">
        {environment === undefined ? null : <Environment name={environment} large />}
        {outcome === undefined ? null : <Status status={outcome.status} />}
        {outcome === undefined && pending === undefined ? <Status status={view.phase} /> : null}
        <span>
          <Sanitized text={subject?.tool.name ?? tool} max={63} />
          {subject === undefined ? null : <span class="mute"> · {subject.tool.kind}</span>}
        </span>
        {pending === undefined ? null : (
          <span class="only-narrow">
            <TimeLeft until={pending.expiresAt} now={now} />
          </span>
        )}
      </p>
      <h1>
        <Sanitized text={subject?.preview.summary ?? `An action on ${tool}`} max={400} />
      </h1>
      <p class="asker">
        {subject === undefined ? null : <Proposer agent={subject.agent} waits={pending !== undefined} />}
        {askedAt === undefined ? null : <When at={askedAt} now={now} />}
      </p>
      <Revisions
        revises={revises}
        editedBy={pending?.shown.editedBy ?? outcome?.facts?.editedBy}
        revisedBy={revisedBy}
      />
    </header>
  );
}

/** The action that this one is proposed instead of, and those proposed instead of it. */
function Revisions({
  revises,
  editedBy,
  revisedBy,
}: {
  readonly revises: string | undefined;
  /** The person who made it of the other. */
  readonly editedBy: string | undefined;
  readonly revisedBy: readonly string[];
}): JSX.Element {
  return (
    <>
      {revises === undefined ? null : (
        <p class="link">
          ↩ Revises{' '}
          <a href={actionPath(revises)}>
            <Sanitized text={revises} max={128} />
          </a>
          {editedBy === undefined ? (
            ', for which changes were requested'
          ) : (
            <>
              , as changed by <Sanitized text={editedBy} max={120} />
            </>
          )}
        </p>
      )}
      {revisedBy.map((id) => (
        <p class="link">
          ↪ Revised by{' '}
          <a href={actionPath(id)}>
            <Sanitized text={id} max={128} />
          </a>
        </p>
      ))}
    </>
  );
}

interface ProposingAgent {
  readonly id: string;
  readonly roles: readonly string[];
  readonly owner?: string | undefined;
  readonly via?: readonly string[];
}

function Proposer({
  agent: { id, roles, owner, via = [] },
  waits,
}: {
  readonly agent: ProposingAgent;
  readonly waits: boolean;
}): JSX.Element {
  return (
    <>
      <span>
        <strong>
          <Sanitized text={id} max={160} />
        </strong>{' '}
        {waits ? 'proposes' : 'proposed'}
      </span>
      <span class="mute">
        agent · roles <Sanitized text={roles.join(', ') || 'none'} max={200} />
        {owner === undefined ? null : (
          <>
            {' '}
            · owned by <Sanitized text={owner} max={120} />
          </>
        )}
        {via.length === 0 ? null : (
          <>
            {' '}
            · for <Sanitized text={via.join(' → ')} max={300} />
          </>
        )}
      </span>
    </>
  );
}
