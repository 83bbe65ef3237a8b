/** Oversight: how people decide, by approver, role and rule, beside the period before; what is worth a look; and what became of canaries. */
import type { Child } from 'hono/jsx';
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { CanaryOversight } from '../../../action/canary-figures.js';
import type { OversightFigures, OversightGroup } from '../../../action/oversight.js';
import type { OversightReport } from '../../../action-records/oversight-report.js';
import { FINDING_TEXTS, secondsText, yesText } from '../../../presentation/oversight-text.js';
import { count, either } from '../components/format.js';
import { At, Empty, Notice } from '../components/parts.js';
import { Sanitized } from '../components/sanitized-text.js';
import { Canaries } from './canaries.js';
import { FiguresTable } from './figures-table.js';

export const PERIODS = [7, 30, 90, 365] as const;

interface OversightProps {
  readonly report: OversightReport;
  readonly days: number;
  /** Those who see everybody's figures. */
  readonly roles: readonly string[];
}

export function Oversight({ report, days, roles }: OversightProps): JSX.Element {
  const { total, approvers, canaries, whose, from, to, more } = report;
  const groups = [
    { what: 'approver', title: 'By approver', members: whose === 'own' ? [] : approvers },
    { what: 'role', title: 'By role', members: report.roles },
    { what: 'rule', title: 'By rule', members: report.rules },
  ];
  return (
    <>
      <div class="heading">
        <h1>Oversight</h1>
        <Periods days={days} />
      </div>
      <p class="note">
        {whose === 'own' ? 'How you decided' : 'How the people of your tenant decided'} from <At at={from} /> to{' '}
        <At at={to} />, beside the {days} days before.
        {more ? ' There were more decisions: the latest are counted.' : ''}
      </p>
      {whose === 'own' ? (
        <p class="may-not">
          These are your own figures. Those of others are for people with the role{' '}
          <Sanitized text={either(roles)} max={200} />.
        </p>
      ) : null}
      <Findings groups={whose === 'own' ? [{ what: 'approver', members: approvers }] : groups} own={whose === 'own'} />
      <Tiles total={total} canaries={canaries} />
      {total.decisions === 0 ? (
        <Empty title="No figures yet">
          {whose === 'own' ? 'You decided nothing' : 'Nobody decided anything'} in this period.
        </Empty>
      ) : (
        groups.map((group) => <Groups {...group} />)
      )}
      <Canaries canaries={canaries} own={whose === 'own'} />
    </>
  );
}

function Periods({ days }: { readonly days: number }): JSX.Element {
  return (
    <nav class="row" aria-label="Period">
      {PERIODS.map((period) => (
        <a
          class={`button ${period === days ? '' : 'quiet'}`}
          href={`/oversight?days=${period}`}
          {...(period === days ? { 'aria-current': 'true' } : {})}
        >
          {period} days
        </a>
      ))}
    </nav>
  );
}

interface Named {
  readonly what: string;
  readonly members: readonly OversightGroup[];
}

function Findings({ groups, own }: { readonly groups: readonly Named[]; readonly own: boolean }): JSX.Element {
  const found = groups.flatMap(({ what, members }) =>
    members.flatMap((member) => member.findings.map((finding) => ({ what, member, finding }))),
  );
  if (found.length === 0) return <></>;
  return (
    <Notice tone="warn" title="Worth a look" id="findings">
      <ul class="examples">
        {found.map(({ what, member, finding }) => (
          <li>
            {own ? (
              'You'
            ) : (
              <>
                The {what} <Sanitized text={member.name} max={80} />
              </>
            )}{' '}
            {FINDING_TEXTS[finding](member)}.
          </li>
        ))}
      </ul>
      <p class="mute">This is no verdict. A rule whose every request gets a yes may ask too often.</p>
    </Notice>
  );
}

function Tiles({
  total,
  canaries,
}: {
  readonly total: OversightGroup;
  readonly canaries: CanaryOversight;
}): JSX.Element {
  const { before, tooFast } = total;
  const { shown, refused, approved, ignored } = canaries.total;
  const was = (text: string): string => (text === '-' ? '' : `${text} before`);
  return (
    <dl class="tiles">
      <Tile label="Decisions" value={count(total.decisions)} note={`${count(before.decisions)} before`} />
      <Tile label="Yes" value={dash(yesText(total))} note={was(yesText(before))} />
      <Tile
        label="Median time to decide"
        value={dash(secondsText(total.medianSeconds))}
        note={was(secondsText(before.medianSeconds))}
      />
      <Tile label="Too fast" value={count(tooFast)} note={`${count(before.tooFast)} before`} />
      <Tile
        label="Canaries refused"
        value={shown === 0 ? '—' : `${count(refused)} of ${count(shown)}`}
        note={shown === 0 ? 'none was shown' : `${count(approved)} approved, ${count(ignored)} expired`}
      />
    </dl>
  );
}

function Tile({
  label,
  value,
  note,
}: {
  readonly label: string;
  readonly value: string;
  readonly note: string;
}): JSX.Element {
  return (
    <div class="tile">
      <dt>{label}</dt>
      <dd>
        {value}
        {note === '' ? null : <p class="mute">{note}</p>}
      </dd>
    </div>
  );
}

function dash(text: string): string {
  return text === '-' ? '—' : text;
}

function Groups({ what, title, members }: Named & { readonly title: string }): JSX.Element {
  if (members.length === 0) return <></>;
  return (
    <section class="card" aria-labelledby={`by-${what}`}>
      <h2 id={`by-${what}`}>{title}</h2>
      <FiguresTable label={`Decisions ${title.toLowerCase()}`} what={what} columns={COLUMNS.map(([name]) => name)}>
        {members.map((member) => (
          <Row member={member} />
        ))}
      </FiguresTable>
    </section>
  );
}

/** The columns of every group, and what each says of it. */
const COLUMNS: readonly (readonly [name: string, textOf: (figures: OversightFigures) => string])[] = [
  ['decisions', ({ decisions }) => count(decisions)],
  ['yes', yesText],
  ['median time', ({ medianSeconds }) => secondsText(medianSeconds)],
  ['fastest tenth', ({ p10Seconds }) => secondsText(p10Seconds)],
  ['too fast', ({ tooFast }) => count(tooFast)],
];

function Row({ member }: { readonly member: OversightGroup }): JSX.Element {
  const { name, before, findings } = member;
  return (
    <tr>
      <th scope="row">
        <Sanitized text={name} max={80} />
        {findings.length === 0 ? null : (
          <span class="status warn">
            <span class="sign" aria-hidden="true">
              !
            </span>
            worth a look
          </span>
        )}
      </th>
      {COLUMNS.map(([, textOf]) => (
        <Cell before={before.decisions === 0 ? undefined : dash(textOf(before))}>{dash(textOf(member))}</Cell>
      ))}
    </tr>
  );
}

/** With the period before under it. */
function Cell({ before, children }: { readonly before: string | undefined; readonly children?: Child }): JSX.Element {
  return (
    <td class="number">
      {children}
      {before === undefined ? null : <span class="mute before">{before} before</span>}
    </td>
  );
}
