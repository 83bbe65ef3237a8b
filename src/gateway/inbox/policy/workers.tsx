/** Which worker runs which bundle, as each last said. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { Digest } from '../../../action/json.js';
import type { PolicyWorker } from '../../../action/policy-rollout.js';
import { When } from '../components/parts.js';
import { Sanitized } from '../components/sanitized-text.js';
import { BundleLink } from './bundles.js';

export function Workers({
  workers,
  active,
  now,
}: {
  readonly workers: readonly PolicyWorker[];
  readonly active: Digest | undefined;
  readonly now: Date;
}): JSX.Element {
  return (
    <section class="card" aria-labelledby="workers">
      <h2 id="workers">Workers</h2>
      {workers.length === 0 ? (
        <p class="mute">No worker has said what it runs.</p>
      ) : (
        <ul class="list">
          {workers.slice(0, 100).map((worker) => (
            <Runs worker={worker} active={active} now={now} />
          ))}
        </ul>
      )}
    </section>
  );
}

function Runs({
  worker: { worker, taskQueue, source, active: runs, problem, silent, seenAt },
  active,
  now,
}: {
  readonly worker: PolicyWorker;
  readonly active: Digest | undefined;
  readonly now: Date;
}): JSX.Element {
  return (
    <li>
      <div>
        <strong>
          <Sanitized text={worker} max={80} />
        </strong>{' '}
        <span class="mute">
          on <Sanitized text={taskQueue} max={60} />
        </span>
        <p>
          {runs === undefined ? 'runs no policy' : <BundleLink digest={runs} />}{' '}
          {source === 'folder' ? 'from its folder' : 'from the ledger'}
          {runs === undefined || runs === active ? null : <strong class="wrong"> not the bundle in force</strong>}
        </p>
        {problem === undefined ? null : (
          <p class="wrong">
            <Sanitized text={problem} max={600} />
          </p>
        )}
      </div>
      <span class="mute">
        {silent ? 'silent since ' : 'seen '}
        <When at={seenAt} now={now} />
      </span>
    </li>
  );
}
