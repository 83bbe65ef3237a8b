/** Errors as people read them: what is wrong, and what they can do. */
import type { Context } from 'hono';
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { ErrorView } from '../../../action/errors.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import type { ProblemDocument } from '../../middleware/problem.js';
import { Sanitized } from '../components/sanitized-text.js';
import { page } from './layout.js';
import { Facts, Notice } from '../components/parts.js';

/** A whole page for a problem. */
export function problemPage(c: Context, problem: ProblemDocument, person?: PersonPrincipal): Promise<Response> {
  const { status, title, code, detail, field, expected, fix, instance } = problem;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['field', field],
    ['expected', expected],
    ['what to do', fix],
    ['code', code],
    ['request id', instance.replace(/^urn:uuid:/, '')],
  ];
  return page(
    c,
    { title, person, width: 'narrow' },
    <>
      <p class="mute">{status}</p>
      <h1>{title}</h1>
      <p>
        <Sanitized text={detail} max={1000} />
      </p>
      <Facts facts={facts} />
      <p class="row">
        {status === 401 ? (
          <a class="button" href="/login">
            Log in
          </a>
        ) : (
          <a class="button" href="/">
            Back to the inbox
          </a>
        )}
      </p>
    </>,
    status,
  );
}

const TITLES: Readonly<Partial<Record<ErrorView['code'], string>>> = {
  APPROVAL_STALE: 'The action has changed since you looked',
  APPROVAL_TOO_FAST: 'You have approved too many actions in a short time',
  APPROVAL_EXPIRED: 'The approval request has expired',
  APPROVAL_FORBIDDEN: 'You may not decide on this action',
  NOT_PENDING: 'The action no longer waits for a decision',
  PASSKEY_REQUIRED: 'This approval needs your passkey',
  PASSKEY_INVALID: 'Your passkey could not be verified',
};

/** Why a request was refused. Nothing changed. */
export function Refusal({ error }: { readonly error: ErrorView }): JSX.Element {
  const { code, message, fix } = error;
  return (
    <Notice
      tone={code === 'APPROVAL_STALE' ? 'warn' : 'bad'}
      title={TITLES[code] ?? 'Your request was refused'}
      id="refusal"
    >
      <p>
        <Sanitized text={message} max={1000} />
        {fix === undefined ? null : (
          <>
            {' '}
            <Sanitized text={fix} max={600} />
          </>
        )}
      </p>
    </Notice>
  );
}
