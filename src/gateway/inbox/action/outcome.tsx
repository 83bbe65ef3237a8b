/** The outcome of an action: what happens now, what changed, what was checked, and how long each step took. */
import type { Child } from 'hono/jsx';
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { ErrorView } from '../../../action/errors.js';
import { STEPS, type ActionView, type Outcome, type Phase, type StepTimings } from '../../../action/outcome.js';
import type { Snapshot } from '../../../action/snapshot.js';
import { changesMade } from './changes.js';
import { ValueDiff } from '../components/diff.js';
import { latency, plural } from '../components/format.js';
import { Sanitized, SanitizedBlock } from '../components/sanitized-text.js';
import { actionPath } from '../lists/inbox.js';
import { Fact, Facts, Hash, Notice, Status, type Tone } from '../components/parts.js';

const NOW: Readonly<Record<Exclude<Phase, 'ended'>, { readonly title: string; readonly text: string }>> = {
  preparing: { title: 'The action is being prepared', text: 'The system is read and policy is evaluated.' },
  queued: { title: 'The action is queued', text: 'A limit is reached. The action is retried by itself.' },
  pending: { title: 'The action waits for approval', text: 'Nothing happens until people have decided.' },
  executing: { title: 'The action is being executed', text: 'The action is authorized, and its effect is being made.' },
  verifying: {
    title: 'The action is being verified',
    text: 'The system is read again and compared with what was expected.',
  },
};

/** What happens now, of an action that people have decided and that has not ended. */
export function Underway({ view }: { readonly view: ActionView }): JSX.Element {
  if (view.phase === 'ended') return <></>;
  const { title, text } = NOW[view.phase];
  return (
    <Notice title={title}>
      <p>
        {text} This page updates by itself.
        {view.cancelRequested ? ' Cancellation was requested; an effect that has begun is finished.' : ''}
      </p>
    </Notice>
  );
}

const TONES: Readonly<Record<Outcome['status'], Tone>> = {
  success: 'good',
  mismatch: 'bad',
  failed: 'bad',
  denied: 'plain',
  unknown: 'warn',
  expired: 'plain',
  cancelled: 'plain',
};

const TITLES: Readonly<Record<Outcome['status'], string>> = {
  success: 'Success: done and verified',
  mismatch: 'Mismatch: done, but not as expected',
  failed: 'Failed: nothing was done',
  denied: 'Denied: nothing was done',
  unknown: 'Unknown: the effect may or may not have happened',
  expired: 'Expired without a decision: nothing was done',
  cancelled: 'Cancelled: nothing was done',
};

export function HowItEnded({ outcome }: { readonly outcome: Outcome }): JSX.Element {
  const { status, reason, error, revisedBy, canary } = outcome;
  if (canary !== undefined) {
    return (
      <Notice
        tone={canary.verdict === 'approve' ? 'warn' : 'good'}
        title="This was a canary, to see whether people look"
      >
        <p>
          <Sanitized text={reason} max={3000} />
        </p>
      </Notice>
    );
  }
  const changed =
    revisedBy === undefined ? 'Changes were requested: nothing was done' : 'Changed: done as another action';
  return (
    <Notice tone={TONES[status]} title={error?.code === 'CHANGES_REQUESTED' ? changed : TITLES[status]}>
      <p>
        <Sanitized text={reason} max={1500} />
      </p>
      {error === undefined ? null : <Why error={error} />}
    </Notice>
  );
}

function Why({ error }: { readonly error: ErrorView }): JSX.Element {
  const { code, field, expected, fix } = error;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['field', field],
    ['expected', expected],
    ['what to do', fix],
  ];
  return (
    <Facts facts={facts}>
      <Fact label="code">
        <code>{code}</code>
      </Fact>
    </Facts>
  );
}

export function WhatChanged({ outcome }: { readonly outcome: Outcome }): JSX.Element {
  const { delta, pre, post, result, checks } = outcome;
  if (delta === undefined && checks.length === 0 && result === undefined) return <></>;
  return (
    <>
      {delta === undefined ? null : (
        <section aria-labelledby="changed">
          <h2 id="changed">What changed</h2>
          {delta.operations === 0 ? (
            <p class="mute">Nothing changed.</p>
          ) : (
            <>
              <p class="mute">
                {plural(delta.operations, 'value')}, seen {latency(delta.latencyMs)} after the effect began
              </p>
              <ValueDiff
                changes={changesMade(delta, pre, outcome.facts?.preview.columns)}
                operations={delta.operations}
              />
            </>
          )}
        </section>
      )}
      {checks.length === 0 ? null : (
        <section aria-labelledby="checks">
          <h2 id="checks">What was checked</h2>
          <ul class="checks">
            {checks.map(({ name, ok, detail }) => (
              <li class={ok ? 'good' : 'bad'}>
                <span class="sign" aria-hidden="true">
                  {ok ? '✓' : '✕'}
                </span>
                <span>
                  <span class="visually-hidden">{ok ? 'passed: ' : 'failed: '}</span>
                  <code>
                    <Sanitized text={name} max={120} />
                  </code>
                  {detail === undefined ? null : (
                    <span class="detail">
                      <Sanitized text={detail} max={1200} />
                    </span>
                  )}
                </span>
              </li>
            ))}
          </ul>
        </section>
      )}
      {pre === undefined && post === undefined && result === undefined ? null : (
        <section aria-labelledby="states">
          <h2 id="states">Before and after</h2>
          {pre === undefined ? null : <State label="Captured before" snapshot={pre} />}
          {post === undefined ? null : <State label="Captured after" snapshot={post} />}
          {result === undefined ? null : (
            <details class="plain">
              <summary>What the tool reported (not evidence)</summary>
              <SanitizedBlock text={JSON.stringify(result, null, 2)} code />
            </details>
          )}
        </section>
      )}
    </>
  );
}

function State({ label, snapshot }: { readonly label: string; readonly snapshot: Snapshot }): JSX.Element {
  const { state, count, tookMs, digest } = snapshot;
  return (
    <details class="plain">
      <summary>
        {label}: {plural(count, 'object')}, read in {latency(tookMs)}
      </summary>
      <p class="mute">
        digest <Hash value={digest} />
      </p>
      {state === undefined ? (
        <p class="mute">The state is large; the ledger keeps it under its digest.</p>
      ) : (
        <SanitizedBlock text={JSON.stringify(state, null, 2)} code max={6000} />
      )}
    </details>
  );
}

const STEP_NAMES: Readonly<Record<keyof StepTimings, string>> = {
  propose: 'proposed',
  enforce: 'policy enforced',
  capturePreState: 'pre-state captured',
  requestApproval: 'approval requested',
  authorize: 'authorized',
  execute: 'executed',
  capturePostState: 'post-state captured',
  verify: 'verified',
  settle: 'recorded',
};

/** How long each step took, as bars and as numbers. */
export function Steps({ steps }: { readonly steps: StepTimings }): JSX.Element {
  const taken = STEPS.flatMap((step) => (steps[step] === undefined ? [] : [[step, steps[step]] as const]));
  if (taken.length === 0) return <></>;
  const longest = Math.max(...taken.map(([, ms]) => ms), 1);
  return (
    <section aria-labelledby="steps">
      <h2 id="steps">Duration of each step</h2>
      <table class="steps">
        <thead class="visually-hidden">
          <tr>
            <th scope="col">Step</th>
            <th scope="col">Share</th>
            <th scope="col">Time</th>
          </tr>
        </thead>
        <tbody>
          {taken.map(([step, ms]) => (
            <tr>
              <th scope="row">{STEP_NAMES[step]}</th>
              <td class="bar">
                <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
                  <rect width={Math.max(0.6, (ms / longest) * 100).toFixed(2)} height="8" />
                </svg>
              </td>
              <td class="number">{latency(ms)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** What it compensates, and what compensates it. */
export function Compensation({ outcome }: { readonly outcome: Outcome }): JSX.Element {
  const { facts, compensation, resolution } = outcome;
  const cause = facts?.compensates;
  const told: Child[] = [];
  if (cause !== undefined) {
    told.push(
      <Fact label="compensates">
        <a href={actionPath(cause.actionId)}>
          <Sanitized text={cause.actionId} max={128} />
        </a>
        , done by <Sanitized text={cause.agent} max={120} />
      </Fact>,
    );
  }
  if (compensation !== undefined) {
    told.push(
      <Fact label="compensation">
        <Status status={compensation.status === 'needs_person' ? 'needs a person' : compensation.status} />{' '}
        {compensation.actionId === undefined ? null : (
          <a href={actionPath(compensation.actionId)}>
            <Sanitized text={compensation.actionId} max={128} />
          </a>
        )}
      </Fact>,
    );
  }
  if (resolution !== undefined) {
    told.push(
      <Fact label="resolved">
        <Sanitized text={resolution.by} max={120} /> says that it{' '}
        {resolution.verdict === 'happened' ? 'happened' : 'did not happen'}: “
        <Sanitized text={resolution.evidence} max={2000} />”
      </Fact>,
    );
  }
  return told.length === 0 ? <></> : <dl class="facts">{told}</dl>;
}
