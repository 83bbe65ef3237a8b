/** Where a person decides: the time left, who is needed, and the choices. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { ErrorView } from '../../../action/errors.js';
import type { ApprovalRecord, PendingView, Shown, Verdict } from '../../../action/outcome.js';
import { textWarnings } from '../../../presentation/text-warnings.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import { Sanitized } from '../components/sanitized-text.js';
import { actionPath } from '../lists/inbox.js';
import { Csrf, Environment, TimeLeft } from '../components/parts.js';
import { EditForm, type EditDraft } from './edit-form.js';
import { Decided, Seats } from './people.js';

/** What a person may do about what waits. */
export type DecisionRights =
  | {
      readonly kind: 'may';
      /** Set where the person's approval needs a passkey: whether they have one. */
      readonly passkey?: 'enrolled' | 'missing';
    }
  | { readonly kind: 'may_not'; readonly why: string };

/** What a form held when it came back to be corrected. */
export interface Draft {
  readonly reason: string;
  readonly edit?: EditDraft;
}

interface PanelProps {
  readonly person: PersonPrincipal;
  readonly pending: PendingView;
  readonly approvals: readonly ApprovalRecord[];
  readonly refused: readonly ErrorView[];
  readonly rights: DecisionRights;
  /** What this person said of exactly this before. */
  readonly mine?: ApprovalRecord | undefined;
  readonly waitedSeconds: number;
  readonly draft?: Draft | undefined;
  readonly now: Date;
}

export function Panel(props: PanelProps): JSX.Element {
  const { pending, approvals, rights, waitedSeconds, now, mine } = props;
  const { shown, shownDigest, expiresAt } = pending;
  return (
    <aside class="panel" aria-labelledby="decide-title" id="panel" data-shown={shownDigest}>
      <h2 id="decide-title" class="visually-hidden">
        The decision
      </h2>
      <p class="clock">
        <TimeLeft until={expiresAt} now={now} />
      </p>
      <Seats requirements={shown.requirements} approvals={approvals} waitedSeconds={waitedSeconds} />
      <Decided approvals={approvals} refused={props.refused} now={now} />
      {rights.kind === 'may' ? (
        <Forms {...props} rights={rights} />
      ) : (
        <p class="may-not">
          <strong>You may look, but not decide.</strong> <Sanitized text={rights.why} max={600} />
        </p>
      )}
      {mine === undefined ? null : <p class="note">You have already approved. You can still deny.</p>}
    </aside>
  );
}

interface Choice {
  readonly verdict: Verdict;
  readonly label: string;
  readonly key: string;
  readonly style: string;
}

const CHOICES: readonly Choice[] = [
  { verdict: 'approve', label: 'Approve', key: 'a', style: 'go' },
  { verdict: 'deny', label: 'Deny', key: 'd', style: 'stop' },
  { verdict: 'request_changes', label: 'Ask for changes', key: 'c', style: '' },
];

type FormsProps = PanelProps & { readonly rights: Extract<DecisionRights, { kind: 'may' }> };

function Forms({ person, pending, rights, mine, draft }: FormsProps): JSX.Element {
  const { passkey } = rights;
  const action = `${actionPath(pending.shown.actionId)}/decision`;
  const choices = mine?.verdict === 'approve' ? CHOICES.filter(({ verdict }) => verdict !== 'approve') : CHOICES;
  const noPasskey = passkey === 'missing';
  return (
    <>
      <div class="choices needs-js">
        {choices.map(({ verdict, label, key, style }) => (
          <button
            type="button"
            class={`button ${style}`}
            data-verdict={verdict}
            aria-keyshortcuts={key}
            disabled={verdict === 'approve' && noPasskey}
          >
            {verdict === 'approve' && passkey !== undefined ? 'Approve with passkey' : label}{' '}
            <kbd aria-hidden="true">{key}</kbd>
          </button>
        ))}
      </div>
      {noPasskey ? (
        <p class="may-not">
          This approval needs a passkey, and you have none. <a href="/me#passkeys">Enrol one</a>, then come back.
        </p>
      ) : null}
      <form class="no-js choices" method="post" action={action}>
        <Bound person={person} pending={pending} />
        <LookTwice shown={pending.shown} />
        <label>
          Reason <span class="mute">(required unless you approve)</span>
          <textarea name="reason" rows={3} maxlength={2000}>
            {draft?.reason ?? ''}
          </textarea>
        </label>
        {choices
          .filter(({ verdict }) => verdict !== 'approve' || passkey === undefined)
          .map(({ verdict, label, style }) => (
            <button class={`button ${style}`} name="verdict" value={verdict}>
              {label}
            </button>
          ))}
        {passkey === undefined ? null : (
          <p class="note">This approval needs a passkey, and passkeys need JavaScript.</p>
        )}
      </form>
      <EditForm shown={pending.shown} action={`${actionPath(pending.shown.actionId)}/edit`} draft={draft?.edit}>
        <Bound person={person} pending={pending} />
      </EditForm>
      <Dialog person={person} pending={pending} action={action} passkey={passkey} draft={draft} />
    </>
  );
}

/** What the decision will be bound to: exactly what this page shows. */
function Bound({ person, pending }: { readonly person: PersonPrincipal; readonly pending: PendingView }): JSX.Element {
  return (
    <>
      <Csrf token={person.session.csrf} />
      <input type="hidden" name="shownDigest" value={pending.shownDigest} />
      <input type="hidden" name="policyDigest" value={pending.decision.policyDigest} />
    </>
  );
}

/** Said beside the yes itself: a text that is folded or padded may end in what matters. */
function LookTwice({ shown }: { readonly shown: Shown }): JSX.Element {
  const warnings = textWarnings(shown, { quote: true });
  if (warnings.length === 0) return <></>;
  return (
    <ul class="warnings">
      {warnings.map((warning) => (
        <li>
          <span class="sign" aria-hidden="true">
            !
          </span>
          <span class="visually-hidden">Look twice: </span>
          <Sanitized text={warning} max={400} />
        </li>
      ))}
    </ul>
  );
}

/** Asked once more before anything is signed. decision.js opens it for a verdict. */
function Dialog({
  person,
  pending,
  action,
  passkey,
  draft,
}: {
  readonly person: PersonPrincipal;
  readonly pending: PendingView;
  readonly action: string;
  readonly passkey: 'enrolled' | 'missing' | undefined;
  readonly draft: Draft | undefined;
}): JSX.Element {
  const { shown } = pending;
  return (
    <dialog
      id="decide"
      class="needs-js"
      aria-labelledby="decide-question"
      data-action={pending.shown.actionId}
      {...(passkey === 'enrolled' ? { 'data-passkey': '/passkeys/assertion-options' } : {})}
    >
      <form method="post" action={action}>
        <Bound person={person} pending={pending} />
        <input type="hidden" name="verdict" value="" />
        <input type="hidden" name="assertion" value="" />
        <h2 id="decide-question" data-question>
          Decide
        </h2>
        <p class="summary">
          <Environment name={shown.tool.environment} /> <Sanitized text={shown.preview.summary} max={300} />
        </p>
        <LookTwice shown={shown} />
        <label>
          <span data-reason-label>Reason</span>
          <textarea name="reason" rows={4} maxlength={2000}>
            {draft?.reason ?? ''}
          </textarea>
        </label>
        <p class="problem" role="alert" data-problem hidden></p>
        <p class="note" data-consequence></p>
        <div class="row">
          <button type="button" class="button" data-close>
            Back
          </button>
          <button class="button" data-confirm>
            Confirm
          </button>
        </div>
      </form>
    </dialog>
  );
}
