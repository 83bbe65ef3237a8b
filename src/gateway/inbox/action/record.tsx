/** What is recorded of an action: digests, receipt and workflow, and who was notified. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { Delivery } from '../../../action/delivery.js';
import type { ActionView } from '../../../action/outcome.js';
import { plural } from '../components/format.js';
import { Sanitized } from '../components/sanitized-text.js';
import { At, Fact, Hash, When } from '../components/parts.js';

interface RecordProps {
  readonly view: ActionView;
  readonly endedAt?: string | undefined;
  readonly deliveries: readonly Delivery[];
  readonly temporalUrl?: string | undefined;
  readonly now: Date;
}

export function Record({ view, endedAt, deliveries, temporalUrl, now }: RecordProps): JSX.Element {
  const { outcome, pending, proposalDigest } = view;
  const receipt = outcome?.receipt;
  return (
    <section aria-labelledby="record">
      <h2 id="record">Record</h2>
      <dl class="facts">
        <Fact label="proposal">
          <Hash value={proposalDigest} />
        </Fact>
        {pending === undefined ? null : (
          <>
            <Fact label="shown and signed">
              <Hash value={pending.shownDigest} />
            </Fact>
            <Fact label="pre-state">
              <Hash value={pending.shown.preDigest} />
            </Fact>
          </>
        )}
        {outcome === undefined ? null : (
          <Fact label="receipt">
            {receipt === undefined ? (
              'not written yet'
            ) : (
              <>
                <strong>#{receipt.seq}</strong> <Hash value={receipt.hash} />
              </>
            )}
          </Fact>
        )}
        {endedAt === undefined ? null : (
          <Fact label="ended">
            <At at={endedAt} />
          </Fact>
        )}
        {temporalUrl === undefined ? null : (
          <Fact label="Temporal">
            <a href={temporalUrl} rel="noreferrer">
              workflow history
            </a>
          </Fact>
        )}
      </dl>
      {deliveries.length === 0 ? null : <Deliveries deliveries={deliveries} now={now} />}
    </section>
  );
}

function Deliveries({ deliveries, now }: Pick<RecordProps, 'deliveries' | 'now'>): JSX.Element {
  return (
    <details class="plain">
      <summary>{plural(deliveries.length, 'notification')}</summary>
      <ul class="checks">
        {deliveries.map(({ channel, kind, status, at, detail, attempts }) => (
          <li class={status === 'delivered' ? 'good' : 'bad'}>
            <span class="sign" aria-hidden="true">
              {status === 'delivered' ? '✓' : '✕'}
            </span>
            <span>
              <Sanitized
                text={`${kind}, by ${channel}: ${status}${attempts > 1 ? ` after ${attempts} attempts` : ''}`}
                max={200}
              />{' '}
              <span class="mute">
                <When at={at} now={now} />
              </span>
              {detail === '' ? null : (
                <span class="detail">
                  <Sanitized text={detail} max={400} />
                </span>
              )}
            </span>
          </li>
        ))}
      </ul>
    </details>
  );
}
