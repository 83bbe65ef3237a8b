/** The page of one bundle: its states, and what differs from the one in force. */
import type { Child } from 'hono/jsx';
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { ErrorView } from '../../../action/errors.js';
import type { Digest } from '../../../action/json.js';
import type { PolicyChange } from '../../../action/policy-rollout.js';
import type { PolicyDifference } from '../../../policy/diff.js';
import type { KnownBundle } from '../../policy/active-bundle.js';
import { Fact, Hash, When } from '../components/parts.js';
import { Sanitized } from '../components/sanitized-text.js';
import { Refusal } from '../layout/problem.js';
import { BundleState, Ordered } from './bundles.js';
import { Differences } from './differences.js';
import { PolicyHeading } from './heading.js';

interface BundlePageProps {
  readonly digest: Digest;
  /** Absent of one that workers have from a folder. */
  readonly known?: KnownBundle | undefined;
  readonly active: Digest | undefined;
  /** Absent of the bundle in force, and where none is. */
  readonly differences?: readonly PolicyDifference[] | ErrorView | undefined;
  readonly history: readonly PolicyChange[];
  readonly now: Date;
  /** What was found about it. */
  readonly children?: Child;
}

export function BundlePage(props: BundlePageProps): JSX.Element {
  const { digest, known, active, differences, history, now, children } = props;
  return (
    <>
      <PolicyHeading title="Policy bundle" />
      <section class="card" aria-labelledby="bundle">
        <h2 id="bundle">
          {known === undefined ? 'Not published' : <BundleState state={known.state} />}
          {digest === active ? <span class="tag">in force</span> : null}
        </h2>
        <dl class="facts">
          <Fact label="digest">
            <code class="whole-digest">{digest}</code>
          </Fact>
          {known?.change === undefined ? null : <Ordered change={known.change} now={now} />}
        </dl>
      </section>
      {differences === undefined ? null : (
        <section class="card" aria-labelledby="differences">
          <h2 id="differences">What would differ from the bundle in force</h2>
          {'code' in differences ? <Refusal error={differences} /> : <Differences differences={differences} />}
        </section>
      )}
      {children}
      <History history={history} now={now} />
    </>
  );
}

function History({ history, now }: { readonly history: readonly PolicyChange[]; readonly now: Date }): JSX.Element {
  return history.length === 0 ? (
    <></>
  ) : (
    <section class="card" aria-labelledby="history">
      <h2 id="history">History</h2>
      <ul class="list">
        {history.map(({ seq, kind, by, reason, at, digest, replaced }) => (
          <li>
            <div>
              <strong>
                #{seq} {kind}
              </strong>{' '}
              <Hash value={digest} />
              {replaced === undefined ? null : (
                <>
                  {' '}
                  in place of <Hash value={replaced} />
                </>
              )}
              <p class="mute">
                “<Sanitized text={reason} max={400} />” by <Sanitized text={by} max={120} /> <When at={at} now={now} />
              </p>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
