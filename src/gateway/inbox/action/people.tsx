/** The decisions so far, and who is still needed. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { Requirement } from '../../../action/decision.js';
import type { ErrorView } from '../../../action/errors.js';
import type { ApprovalRecord } from '../../../action/outcome.js';
import { progress } from '../../../action/quorum.js';
import { duration, either } from '../components/format.js';
import { Sanitized } from '../components/sanitized-text.js';
import { When } from '../components/parts.js';

/** One line for each requirement: a place for each person it wants, those that are taken filled. */
export function Seats({
  requirements,
  approvals,
  waitedSeconds,
}: {
  readonly requirements: readonly Requirement[];
  readonly approvals: readonly ApprovalRecord[];
  readonly waitedSeconds: number;
}): JSX.Element {
  const { missing } = progress(requirements, approvals);
  return (
    <ul class="seats">
      {requirements.map((requirement) => {
        const { policy, roles, quorum, passkey, escalations = [] } = requirement;
        const open = missing.find((one) => one.policy === policy && one.roles.join() === roles.join());
        const need = open?.need ?? Math.max(1, quorum);
        const have = open?.have ?? need;
        return (
          <li>
            <span class="dots" aria-hidden="true">
              {'●'.repeat(Math.min(have, 9))}
              {'○'.repeat(Math.min(Math.max(0, need - have), 9))}
            </span>
            <span>
              {have} of {need} <Sanitized text={either(roles)} max={120} />
              {passkey === true ? <span class="tag">passkey</span> : null}
              {escalations.map(({ afterSeconds, roles: also }) => (
                <span class="also">
                  {afterSeconds <= waitedSeconds
                    ? 'now also '
                    : `in ${duration((afterSeconds - waitedSeconds) * 1000)} also `}
                  <Sanitized text={either(also)} max={120} />
                </span>
              ))}
            </span>
          </li>
        );
      })}
    </ul>
  );
}

const SAID: Readonly<
  Record<ApprovalRecord['verdict'], { readonly sign: string; readonly word: string; readonly tone: string }>
> = {
  approve: { sign: '✓', word: 'approved', tone: 'good' },
  deny: { sign: '✕', word: 'denied', tone: 'bad' },
  request_changes: { sign: '↩', word: 'asked for changes', tone: 'warn' },
};

export function Decided({
  approvals,
  refused,
  now,
}: {
  readonly approvals: readonly ApprovalRecord[];
  readonly refused: readonly ErrorView[];
  readonly now: Date;
}): JSX.Element {
  if (approvals.length === 0 && refused.length === 0) return <></>;
  return (
    <ul class="decided" aria-label="Who has decided">
      {approvals.map((approval) => (
        <DecisionItem approval={approval} now={now} />
      ))}
      {refused.map(({ message }) => (
        <li class="mute">
          <span class="sign" aria-hidden="true">
            –
          </span>
          <span>
            A decision was refused: <Sanitized text={message} max={400} />
          </span>
        </li>
      ))}
    </ul>
  );
}

function DecisionItem({ approval, now }: { readonly approval: ApprovalRecord; readonly now: Date }): JSX.Element {
  const { approver, roles, verdict, reason, at, standingApproval, edited } = approval;
  const { sign, word, tone } = SAID[verdict];
  const did = edited === undefined ? word : 'changed it';
  return (
    <li class={tone}>
      <span class="sign" aria-hidden="true">
        {sign}
      </span>
      <span>
        <strong>
          <Sanitized text={approver} max={120} />
        </strong>{' '}
        {standingApproval === undefined ? did : 'gave a standing approval'}{' '}
        <span class="mute">
          <When at={at} now={now} /> as <Sanitized text={either(roles, 'and')} max={160} />
        </span>
        <HowGiven approval={approval} />
        {reason === undefined ? null : (
          <span class="quote">
            “<Sanitized text={reason} max={2000} />”
          </span>
        )}
      </span>
    </li>
  );
}

/** Marks on an approval: what sets it apart from a decision by the person alone, about this action alone. */
function HowGiven({ approval }: { readonly approval: ApprovalRecord }): JSX.Element {
  return (
    <>
      {approval.passkey === undefined ? null : <span class="tag">passkey</span>}
      {approval.standingApproval === undefined ? null : <span class="tag">standing approval</span>}
      {approval.overRateLimit === true ? <span class="tag warn">fast approval: one more is needed</span> : null}
      {approval.delegatedRoles?.map(({ role, from }) => (
        <span class="also">
          <Sanitized text={role} max={63} /> for <Sanitized text={from} max={120} />
        </span>
      ))}
    </>
  );
}
