/** The rules of a bundle with how often each decided, and its limits. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { RuleFigures } from '../../../ledger/index.js';
import type { BundleOutline, RuleOutline } from '../../policy/outline.js';
import { count, plural } from '../components/format.js';
import { Empty, Fact, More } from '../components/parts.js';
import { Sanitized, SanitizedBlock } from '../components/sanitized-text.js';
import { playgroundPath } from './playground.js';

export const FIGURES_DAYS = 30;
/** Rules on one page. */
const PAGE = 100;

interface RulesProps {
  readonly outline: BundleOutline;
  readonly figures: RuleFigures;
  /** What is looked for in ids, scopes, reasons and Cedar. */
  readonly text?: string | undefined;
  /** From 0. */
  readonly from: number;
}

export function Rules({ outline, figures, text, from }: RulesProps): JSX.Element {
  const found = outline.rules.filter((rule) => text === undefined || mentions(rule, text));
  const shown = found.slice(from, from + PAGE);
  const byId = new Map(figures.rules.map((rule) => [rule.policy, rule]));
  const idle = outline.rules.filter(({ id }) => !byId.has(id)).length;
  const next = from + PAGE < found.length ? from + PAGE : undefined;
  const query = new URLSearchParams({ ...(text === undefined ? {} : { q: text }), from: String(next ?? 0) });
  return (
    <section aria-labelledby="rules">
      <h2 id="rules">Rules</h2>
      <p class="note">
        {plural(outline.rules.length, 'rule')}, {count(idle)} of which decided nothing. Counted are{' '}
        {plural(figures.counted, 'action')} of your tenant that ended within {FIGURES_DAYS} days
        {figures.more ? ': the latest of more, so a rule may have decided before' : ''}, each for every rule that
        determined its decision.
      </p>
      <form class="filters search rules-search" role="search" method="get" action="/policy">
        <label>
          <span class="visually-hidden">Search the rules</span>
          <input type="search" name="q" value={text ?? ''} placeholder="Search the rules" maxlength={128} data-search />
        </label>
        <button class="button">Search</button>
      </form>
      {shown.length === 0 ? (
        <Empty title="No rules found">
          {text === undefined ? (
            'The bundle has no more rules.'
          ) : (
            <>
              No rule mentions this. <a href="/policy">Show all</a>.
            </>
          )}
        </Empty>
      ) : (
        <ol class="rules">
          {shown.map((rule) => (
            <OneRule rule={rule} figures={byId.get(rule.id)} more={figures.more} />
          ))}
        </ol>
      )}
      <More href={next === undefined ? undefined : `/policy?${query.toString()}#rules`} label="More rules" />
    </section>
  );
}

function mentions({ id, scope, reason = '', text }: RuleOutline, wanted: string): boolean {
  return [id, scope, reason, text].some((part) => part.toLowerCase().includes(wanted.toLowerCase()));
}

function OneRule({
  rule,
  figures,
  more,
}: {
  readonly rule: RuleOutline;
  readonly figures: RuleFigures['rules'][number] | undefined;
  readonly more: boolean;
}): JSX.Element {
  const { id, scope, reason, liftedBy, constraints, text, file, line } = rule;
  return (
    <li class="card rule" id={`rule-${id}`}>
      <h3>
        <Sanitized text={id} max={64} /> <Effect rule={rule} />
      </h3>
      <Decided id={id} figures={figures} more={more} />
      <dl class="facts">
        <Fact label="about">
          <Sanitized text={scope} max={600} />
        </Fact>
        {reason === undefined ? null : (
          <Fact label="reason">
            <Sanitized text={reason} max={600} />
          </Fact>
        )}
        {liftedBy === undefined ? null : (
          <Fact label="lifted by">
            <Sanitized text={liftedBy} max={600} />
          </Fact>
        )}
        {constraints.length === 0 ? null : (
          <Fact label="constraints">
            <Sanitized text={constraints.join(', ')} max={600} />
          </Fact>
        )}
      </dl>
      <details class="plain">
        <summary>
          Cedar <span class="visually-hidden">of {id}</span>
        </summary>
        <p class="mute">
          <Sanitized text={`${file}, line ${line}`} max={160} />
        </p>
        <SanitizedBlock text={text} max={20_000} code label={`The whole text of ${id}`} />
      </details>
      <p>
        <a href={playgroundPath(id, undefined)}>
          Try a change<span class="visually-hidden"> of {id}</span>
        </a>
      </p>
    </li>
  );
}

function Effect({ rule: { effect, liftedBy } }: { readonly rule: RuleOutline }): JSX.Element {
  const text = effect === 'permit' ? 'permits' : liftedBy === undefined ? 'forbids' : 'asks people';
  return (
    <span class={`tag effect ${effect === 'permit' ? 'permit' : liftedBy === undefined ? 'forbid' : 'soft'}`}>
      {text}
    </span>
  );
}

function Decided({
  id,
  figures,
  more,
}: {
  readonly id: string;
  readonly figures: RuleFigures['rules'][number] | undefined;
  readonly more: boolean;
}): JSX.Element {
  if (figures === undefined) {
    return (
      <p class="times none">
        <span class="sign" aria-hidden="true">
          ∅
        </span>{' '}
        decided nothing {more ? 'that was counted' : `in ${FIGURES_DAYS} days`}
      </p>
    );
  }
  const parts = [
    ['allowed', figures.allow],
    ['needed approval', figures.require_approval],
    ['denied', figures.deny],
  ] as const;
  return (
    <p class="times">
      <a href={`/history?policy=${encodeURIComponent(id)}`}>decided {count(figures.total)}</a>:{' '}
      {parts.flatMap(([word, amount]) => (amount === 0 ? [] : [`${count(amount)} ${word}`])).join(', ')}
    </p>
  );
}

export function Limits({ limits }: Pick<BundleOutline, 'limits'>): JSX.Element {
  return (
    <section class="card" aria-labelledby="limits">
      <h2 id="limits">Limits</h2>
      {limits.length === 0 ? (
        <p class="mute">The bundle declares none.</p>
      ) : (
        <dl class="facts limits">
          {limits.map(({ id, text }) => (
            <div>
              <dt>
                <Sanitized text={id} max={64} />
              </dt>
              <dd>
                <Sanitized text={text} max={400} />
              </dd>
            </div>
          ))}
        </dl>
      )}
    </section>
  );
}
