/** What only a person can settle: an effect that could not be known, and a compensation that failed. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { Outcome } from '../../../action/outcome.js';
import type { CompensationView } from '../../../action/saga.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import { Sanitized } from '../components/sanitized-text.js';
import { Csrf, Notice } from '../components/parts.js';
import { actionPath } from '../lists/inbox.js';
import { mayNotResolve } from './decision-rights.js';

/** A person resolves an unknown outcome. */
export function Resolve({
  person,
  outcome,
  selfApproval,
}: {
  readonly person: PersonPrincipal;
  readonly outcome: Outcome;
  readonly selfApproval: boolean;
}): JSX.Element {
  const agent = outcome.facts?.agent;
  const mayNot = agent === undefined ? undefined : mayNotResolve(person, agent, selfApproval);
  if (mayNot !== undefined) {
    return (
      <section class="settle" aria-labelledby="resolve">
        <h2 id="resolve">Did the effect happen?</h2>
        <p>{mayNot}</p>
      </section>
    );
  }
  return (
    <section class="settle" aria-labelledby="resolve">
      <h2 id="resolve">Did the effect happen?</h2>
      <p class="mute">Check in the system itself. Your answer is signed and recorded with a receipt.</p>
      <VerdictForm
        person={person}
        action={`${actionPath(outcome.actionId)}/resolution`}
        question="How do you know?"
        verdicts={{ happened: 'It happened', did_not_happen: 'It did not happen' }}
      />
    </section>
  );
}

/** A compensation failed, and a person decides how to go on. */
export function Recover({
  person,
  stuck,
}: {
  readonly person: PersonPrincipal;
  readonly stuck: CompensationView;
}): JSX.Element {
  return (
    <section class="settle" aria-labelledby="recover">
      <Notice tone="warn" title="The action could not be compensated">
        <p>
          <Sanitized text={stuck.reason} max={1000} />
        </p>
      </Notice>
      <h2 id="recover">How should this go on?</h2>
      <VerdictForm
        person={person}
        action={`${actionPath(stuck.cause)}/recovery`}
        question="Reason"
        verdicts={{ retry: 'Retry the compensation', accept: 'Accept it as it is' }}
      />
    </section>
  );
}

/** Asks for the reason, and has a button for each verdict. */
function VerdictForm({
  person,
  action,
  question,
  verdicts,
}: {
  readonly person: PersonPrincipal;
  readonly action: string;
  readonly question: string;
  /** The labels of the buttons, by verdict. */
  readonly verdicts: Readonly<Record<string, string>>;
}): JSX.Element {
  return (
    <form method="post" action={action}>
      <Csrf token={person.session.csrf} />
      <label>
        {question}
        <textarea name="reason" rows={3} maxlength={2000} required></textarea>
      </label>
      <div class="row">
        {Object.entries(verdicts).map(([verdict, label]) => (
          <button class="button" name="verdict" value={verdict}>
            {label}
          </button>
        ))}
      </div>
    </form>
  );
}
