/** The bundle in force, and the others. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { Digest } from '../../../action/json.js';
import type { PolicyChange, PolicyState, PolicyWorker } from '../../../action/policy-rollout.js';
import type { ActiveBundle, KnownBundle, KnownPolicies } from '../../policy/active-bundle.js';
import { either, plural } from '../components/format.js';
import { Empty, Fact, Hash, Notice, When } from '../components/parts.js';
import { Sanitized } from '../components/sanitized-text.js';

const SIGNS: Readonly<Record<PolicyState, { readonly sign: string; readonly tone: string }>> = {
  active: { sign: '✓', tone: 'good' },
  shadow: { sign: '◐', tone: 'warn' },
  draft: { sign: '…', tone: 'mute' },
  retired: { sign: '–', tone: 'mute' },
};

export function BundleState({ state }: { readonly state: PolicyState }): JSX.Element {
  const { sign, tone } = SIGNS[state];
  return (
    <span class={`status ${tone}`}>
      <span class="sign" aria-hidden="true">
        {sign}
      </span>
      {state}
    </span>
  );
}

function bundlePath(digest: Digest): string {
  return `/policy/bundles/${encodeURIComponent(digest)}`;
}

/** A digest that leads to the page of its bundle. */
export function BundleLink({ digest }: { readonly digest: Digest }): JSX.Element {
  return (
    <a href={bundlePath(digest)}>
      <Hash value={digest} />
    </a>
  );
}

export function InForce({ state, now }: { readonly state: KnownPolicies; readonly now: Date }): JSX.Element {
  const { active, workers, named } = state;
  if (active === undefined) {
    return (
      <Empty title="No policy is known">
        None was promoted, no worker has said what it runs, and no action of yours was decided yet.
      </Empty>
    );
  }
  const [latest] = named;
  return (
    <section class="card" aria-labelledby="in-force">
      <h2 id="in-force">The bundle in force</h2>
      <dl class="facts">
        <Fact label="digest">
          <code class="whole-digest">{active.digest}</code>
        </Fact>
        <HowKnown active={active} workers={workers} now={now} />
        {latest === undefined ? null : (
          <Fact label="your last decision">
            <When at={latest.lastAt} now={now} />
            {latest.digest === active.digest ? ', under this bundle' : ', under another bundle'}
          </Fact>
        )}
      </dl>
      <Disagreement active={active} workers={workers} />
    </section>
  );
}

function HowKnown({
  active: { by, digest, change },
  workers,
  now,
}: {
  readonly active: ActiveBundle;
  readonly workers: readonly PolicyWorker[];
  readonly now: Date;
}): JSX.Element {
  switch (by) {
    case 'promotion':
      return change === undefined ? (
        <Fact label="in force">since long ago</Fact>
      ) : (
        <Ordered change={change} now={now} />
      );
    case 'folder': {
      const running = workers.filter(({ silent, active }) => !silent && active === digest).length;
      return (
        <Fact label="in force">
          {plural(running, 'worker')} {running === 1 ? 'has' : 'have'} it from a folder. Nobody ordered it with a
          signature: whoever can change the folder can change it.
        </Fact>
      );
    }
    case 'decisions':
      return <Fact label="in force">as your latest decisions name it; no worker has said what it runs</Fact>;
  }
}

/** Who ordered a change, when and why. */
export function Ordered({ change, now }: { readonly change: PolicyChange; readonly now: Date }): JSX.Element {
  const { at, by, people, reason, kind } = change;
  const others = people.filter((person) => person !== by);
  return (
    <>
      <Fact label="since">
        <When at={at} now={now} /> <span class="mute">({kind})</span>
      </Fact>
      <Fact label="by">
        <Sanitized text={by} max={120} />
        {others.length === 0 ? null : (
          <>
            , signed also by <Sanitized text={either(others, 'and')} max={240} />
          </>
        )}
      </Fact>
      <Fact label="why">
        <Sanitized text={reason} max={600} />
      </Fact>
    </>
  );
}

function Disagreement({
  active,
  workers,
}: {
  readonly active: ActiveBundle;
  readonly workers: readonly PolicyWorker[];
}): JSX.Element {
  const others = workers.filter(({ silent, active: runs }) => !silent && runs !== active.digest);
  return others.length === 0 ? (
    <></>
  ) : (
    <Notice tone="warn" title={`${plural(others.length, 'worker does', 'workers do')} not run this bundle`}>
      <p>What they decide, they decide by what they run: see the workers below.</p>
    </Notice>
  );
}

const MOST_LISTED = 20;

export function OtherBundles({
  bundles,
  active,
  now,
}: {
  readonly bundles: readonly KnownBundle[];
  readonly active: Digest | undefined;
  readonly now: Date;
}): JSX.Element {
  const others = bundles.filter(({ digest }) => digest !== active);
  const shown = others.slice(0, MOST_LISTED);
  return (
    <section class="card" aria-labelledby="bundles">
      <h2 id="bundles">Other bundles</h2>
      {others.length === 0 ? (
        <p class="mute">
          None was published. <code>countersign policy publish</code> makes a draft of a folder.
        </p>
      ) : (
        <ul class="list">
          {shown.map(({ digest, state, change }) => (
            <li>
              <div>
                <BundleState state={state} /> <BundleLink digest={digest} />
                {change === undefined ? null : (
                  <p class="mute">
                    “<Sanitized text={change.reason} max={240} />” by <Sanitized text={change.by} max={120} />{' '}
                    <When at={change.at} now={now} />
                  </p>
                )}
              </div>
              {active === undefined ? null : <a href={`${bundlePath(digest)}#differences`}>What differs</a>}
            </li>
          ))}
        </ul>
      )}
      {others.length > shown.length ? (
        <p class="note">
          … and {plural(others.length - shown.length, 'earlier one')}: countersign policy status --all.
        </p>
      ) : null}
    </section>
  );
}
