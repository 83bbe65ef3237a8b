/** The standing approvals on a person's own page, and the form that gives another. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { StandingApproval, StandingApprovalUse } from '../../../action/standing-approval.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import { count, plural } from '../components/format.js';
import { Sanitized } from '../components/sanitized-text.js';
import { Csrf, Environment, ReasonField, TimeLeft } from '../components/parts.js';

export type UsedStandingApproval = StandingApproval & { readonly used: StandingApprovalUse };

export function StandingApprovals({
  standing,
  person,
  now,
}: {
  readonly standing: readonly UsedStandingApproval[];
  readonly person: PersonPrincipal;
  readonly now: Date;
}): JSX.Element {
  return (
    <section class="card" aria-labelledby="standing">
      <h2 id="standing">Standing approvals</h2>
      <p class="note">What people of your tenant approved in advance, within bounds. Each use is on a receipt.</p>
      <ul class="list">
        {standing.map((one) => (
          <StandingItem one={one} person={person} now={now} />
        ))}
      </ul>
      {person.roles.length === 0 ? null : <GiveStandingApproval person={person} />}
    </section>
  );
}

function StandingItem({
  one,
  person,
  now,
}: {
  readonly one: UsedStandingApproval;
  readonly person: PersonPrincipal;
  readonly now: Date;
}): JSX.Element {
  const { id, agent, tool, operation, environment, maxRows, until, by, reason } = one;
  const what = operation === undefined ? tool : `${tool}: ${operation}`;
  return (
    <li>
      <div>
        <strong>
          <Sanitized text={agent} max={120} />
        </strong>{' '}
        may <Sanitized text={what} max={200} /> {environment === undefined ? null : <Environment name={environment} />}
        <p class="mute">
          {bounds(one)}
          {maxRows === undefined ? '' : `at most ${plural(maxRows, 'row')} each · `}
          <TimeLeft until={until} now={now} /> · given by <Sanitized text={by} max={120} />: “
          <Sanitized text={reason} max={300} />”
        </p>
      </div>
      <details>
        <summary>Withdraw</summary>
        <form class="form" method="post" action={`/me/standing/${encodeURIComponent(id)}/withdraw`}>
          <Csrf token={person.session.csrf} />
          <ReasonField />
          <button class="button stop">Withdraw it</button>
        </form>
      </details>
    </li>
  );
}

function bounds({ actions, amounts = {}, used }: UsedStandingApproval): string {
  return [
    ...(actions === undefined ? [] : [`${count(used.actions)} of ${count(actions)} actions used · `]),
    ...Object.entries(amounts).map(
      ([unit, most]) => `${count(used.amounts[unit] ?? 0)} of ${count(most)} ${unit} used · `,
    ),
  ].join('');
}

function GiveStandingApproval({ person }: { readonly person: PersonPrincipal }): JSX.Element {
  return (
    <details class="plain">
      <summary>Give a standing approval</summary>
      <form class="form" method="post" action="/me/standing">
        <Csrf token={person.session.csrf} />
        <div class="pair">
          <label>
            Agent
            <input name="agent" maxlength={128} required autocomplete="off" />
          </label>
          <label>
            Tool
            <input name="tool" maxlength={63} required autocomplete="off" />
          </label>
          <label>
            Operation <span class="mute">(any)</span>
            <input name="operation" maxlength={128} autocomplete="off" />
          </label>
          <label>
            Environment <span class="mute">(any)</span>
            <input name="environment" maxlength={128} autocomplete="off" />
          </label>
          <label>
            Rows per action, at most
            <input name="maxRows" inputmode="numeric" pattern="[0-9]*" />
          </label>
          <label>
            Actions in total
            <input name="actions" inputmode="numeric" pattern="[0-9]*" />
          </label>
          <label>
            Amount in total
            <input name="amount" inputmode="decimal" pattern="[0-9]+([.][0-9]+)?" />
          </label>
          <label>
            Unit
            <input name="unit" maxlength={16} placeholder="EUR" autocomplete="off" />
          </label>
          <label>
            Duration in hours
            <input name="hours" inputmode="numeric" pattern="[0-9]+" required value="2" />
          </label>
        </div>
        <ReasonField rows={2} />
        <div class="row">
          <button class="button go">Give the approval</button>
        </div>
      </form>
    </details>
  );
}
