/** The form in which a person changes what an agent proposed. It works without JavaScript. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { Shown } from '../../../action/outcome.js';
import type { Proposal } from '../../../action/proposal.js';
import { STRUCK } from '../../../presentation/secret-columns.js';
import { piecesOf } from '../../../presentation/text-pieces.js';
import type { Child } from 'hono/jsx';

/** Rows of the field, at most. */
const MAX_ROWS = 20;

/** What a form held when it came back to be corrected. */
export interface EditDraft {
  readonly input: string;
  readonly expect: string;
}

interface EditFormProps {
  readonly shown: Shown;
  readonly action: string;
  readonly draft?: EditDraft | undefined;
  /** What the decision is bound to. */
  readonly children: Child;
}

export function EditForm({ shown: { proposal }, action, draft, children }: EditFormProps): JSX.Element {
  const input = draft?.input ?? written(proposal.input);
  const expect = draft?.expect ?? expectText(proposal.expect);
  if (hasSecret(input) || hasSecret(expect)) {
    return <p class="note">The input holds a secret, so it cannot be changed here: use the command line.</p>;
  }
  return (
    <details class="plain edit" open={draft !== undefined}>
      <summary>Change it yourself</summary>
      <p class="note">
        This action ends, and what you make of it is begun on the agent’s behalf. Policy decides on it anew, and you see
        what it would do before anybody approves it.
      </p>
      <form method="post" action={action}>
        {children}
        <label>
          Input, as JSON
          <textarea
            name="input"
            class="code"
            spellcheck={false}
            rows={Math.min(MAX_ROWS, input.split('\n').length + 1)}
          >
            {input}
          </textarea>
        </label>
        <label>
          What must be true afterwards, in CEL{' '}
          <span class="mute">(empty: nothing more than what the tool derives)</span>
          <textarea name="expect" class="code" spellcheck={false} rows={2}>
            {expect}
          </textarea>
        </label>
        <label>
          Reason <span class="mute">(optional; the agent reads this)</span>
          <textarea name="reason" rows={2} maxlength={2000}></textarea>
        </label>
        <button class="button">Propose the change</button>
      </form>
    </details>
  );
}

/** One expectation is shown as it is written; several, or one with a time, as JSON. */
function expectText(expect: Proposal['expect']): string {
  if (expect === undefined) return '';
  return typeof expect === 'string' ? escaped(expect) : written(expect);
}

function written(value: unknown): string {
  return escaped(JSON.stringify(value, null, 2));
}

/** In JSON and in CEL's texts, what cannot be seen is written as its escape: what stands in the field is what is read. */
function escaped(text: string): string {
  return text.replaceAll(/[\p{Cf}\p{Co}\p{Zl}\p{Zp}]|[^\S \n]/gu, (hidden) =>
    Array.from({ length: hidden.length }, (_, at) => `\\u${hidden.charCodeAt(at).toString(16).padStart(4, '0')}`).join(
      '',
    ),
  );
}

/** What was struck out would be written into the system. */
function hasSecret(text: string): boolean {
  return text.includes(STRUCK) || piecesOf(text).some((piece) => typeof piece !== 'string' && piece.kind === 'secret');
}
