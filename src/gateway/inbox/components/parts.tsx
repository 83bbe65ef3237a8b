/** Small parts that several pages are made of. */
import type { Child } from 'hono/jsx';
import type { JSX } from 'hono/jsx/jsx-runtime';
import { ago, instant, isProduction, left, urgency } from './format.js';
import { Sanitized } from './sanitized-text.js';

/** Where it would happen. Production differs by word, by sign and by shape, not by colour alone. */
export function Environment({ name, large = false }: { readonly name: string; readonly large?: boolean }): JSX.Element {
  const production = isProduction(name);
  return (
    <span class={`environment ${production ? 'production' : 'other'}${large ? ' large' : ''}`}>
      {production ? (
        <svg class="sign" viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
          <path d="M8 1.500 15.500 14.500H.5z" fill="currentColor" />
        </svg>
      ) : null}
      <Sanitized text={name} max={40} />
    </span>
  );
}

const STATUSES: Readonly<Record<string, { readonly sign: string; readonly tone: string; readonly label: string }>> = {
  success: { sign: '✓', tone: 'good', label: 'success' },
  mismatch: { sign: '≠', tone: 'bad', label: 'mismatch' },
  failed: { sign: '✕', tone: 'bad', label: 'failed' },
  denied: { sign: '⊘', tone: 'bad', label: 'denied' },
  unknown: { sign: '?', tone: 'warn', label: 'unknown' },
  expired: { sign: '◷', tone: 'mute', label: 'expired' },
  cancelled: { sign: '–', tone: 'mute', label: 'cancelled' },
  pending: { sign: '…', tone: 'warn', label: 'waits for approval' },
  frozen: { sign: '■', tone: 'bad', label: 'frozen' },
  queued: { sign: '…', tone: 'mute', label: 'queued by a limit' },
};

export function Status({ status }: { readonly status: string }): JSX.Element {
  const known = Object.hasOwn(STATUSES, status) ? STATUSES[status] : undefined;
  const { sign, tone, label } = known ?? { sign: '…', tone: 'mute', label: status };
  return (
    <span class={`status ${tone}`}>
      <span class="sign" aria-hidden="true">
        {sign}
      </span>
      <Sanitized text={label} />
    </span>
  );
}

export function When({ at, now }: { readonly at: string; readonly now: Date }): JSX.Element {
  return (
    <time datetime={at} title={instant(at)} data-ago>
      {ago(at, now)}
    </time>
  );
}

export function At({ at }: { readonly at: string }): JSX.Element {
  return <time datetime={at}>{instant(at)}</time>;
}

export function TimeLeft({ until, now }: { readonly until: string; readonly now: Date }): JSX.Element {
  return (
    <time class={`left ${urgency(until, now)}`} datetime={until} title={`until ${instant(until)}`} data-left>
      {left(until, now)}
    </time>
  );
}

/** A digest or other long name, shortened; the whole is in its title and can be copied from there. */
export function Hash({ value }: { readonly value: string }): JSX.Element {
  const short = value.replace(/^sha256:/, '').slice(0, 12);
  return (
    <code class="hash" title={value}>
      {short}
    </code>
  );
}

/** A labelled fact. Nothing is shown for nothing. */
export function Fact({ label, children }: { readonly label: string; readonly children?: Child }): JSX.Element {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** What is known of something, in a list; what is not known is left out. The texts may be anybody's. */
export function Facts({
  facts,
  children,
}: {
  readonly facts: readonly (readonly [label: string, text: string | undefined])[];
  readonly children?: Child;
}): JSX.Element {
  return (
    <dl class="facts">
      {children}
      {facts.map(([label, text]) =>
        text === undefined ? null : (
          <Fact label={label}>
            <Sanitized text={text} max={600} />
          </Fact>
        ),
      )}
    </dl>
  );
}

/** Where a form asks for the reason. */
export function ReasonField({ rows }: { /** Default: one line. */ readonly rows?: number }): JSX.Element {
  return (
    <label>
      Reason
      {rows === undefined ? (
        <input name="reason" maxlength={2000} required />
      ) : (
        <textarea name="reason" rows={rows} maxlength={2000} required></textarea>
      )}
    </label>
  );
}

export type Tone = 'good' | 'bad' | 'warn' | 'plain';

const SIGNS: Readonly<Record<Tone, string>> = { good: '✓', bad: '✕', warn: '!', plain: 'i' };

/** Something the person should read before anything else on the page. */
export function Notice({
  tone = 'plain',
  title,
  id,
  children,
}: {
  readonly tone?: Tone;
  readonly title: string;
  readonly id?: string;
  readonly children?: Child;
}): JSX.Element {
  return (
    <section
      class={`notice ${tone}`}
      {...(id === undefined ? {} : { id })}
      {...(tone === 'bad' ? { role: 'alert' } : {})}
    >
      <span class="sign" aria-hidden="true">
        {SIGNS[tone]}
      </span>
      <div>
        <p class="title">{title}</p>
        {children}
      </div>
    </section>
  );
}

/** Where every form that changes something starts. */
export function Csrf({ token }: { readonly token: string }): JSX.Element {
  return <input type="hidden" name="_csrf" value={token} />;
}

/** An empty list. */
export function Empty({ title, children }: { readonly title: string; readonly children?: Child }): JSX.Element {
  return (
    <section class="empty">
      <svg viewBox="0 0 96 64" width="96" height="64" aria-hidden="true">
        <path d="M8 40 28 12h40l20 28v14a4 4 0 0 1-4 4H12a4 4 0 0 1-4-4z" class="line" />
        <path d="M8 40h22c2 0 3 2 4 4 2 4 6 6 14 6s12-2 14-6c1-2 2-4 4-4h22" class="line" />
        <path d="m38 26 7 7 14-15" class="tick" />
      </svg>
      <h2>{title}</h2>
      <p>{children}</p>
    </section>
  );
}

/** The link to what comes after, where there is more. */
export function More({
  href,
  label = 'More',
}: {
  readonly href: string | undefined;
  readonly label?: string;
}): JSX.Element {
  return href === undefined ? (
    <></>
  ) : (
    <p class="more">
      <a class="button" href={href} rel="next">
        {label}
      </a>
    </p>
  );
}
