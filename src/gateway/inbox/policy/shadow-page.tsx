/** The page of the policy in shadow: how often it was evaluated, where it decided otherwise, what backtests found about it. */
import type { Child } from 'hono/jsx';
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { KnownBundle } from '../../policy/active-bundle.js';
import { Empty, Fact } from '../components/parts.js';
import { BundleLink, Ordered } from './bundles.js';
import { PolicyHeading } from './heading.js';

export function ShadowPage({
  shadow,
  now,
  children,
}: {
  readonly shadow?: KnownBundle | undefined;
  readonly now: Date;
  readonly children?: Child;
}): JSX.Element {
  return (
    <>
      <PolicyHeading title="Policy in shadow" part="shadow" />
      {shadow === undefined ? (
        <Empty title="No policy is in shadow">
          A policy in shadow is evaluated beside the one in force, without any effect:{' '}
          <code>countersign policy shadow</code>.
        </Empty>
      ) : (
        <section class="card" aria-labelledby="shadow">
          <h2 id="shadow">The bundle in shadow</h2>
          <dl class="facts">
            <Fact label="digest">
              <BundleLink digest={shadow.digest} />
            </Fact>
            {shadow.change === undefined ? null : <Ordered change={shadow.change} now={now} />}
          </dl>
        </section>
      )}
      {children}
    </>
  );
}
