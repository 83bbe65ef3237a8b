/** The shapes that several kinds of signed claims share, and how far clocks may disagree. */
import { z } from 'zod';
import { hasCharacters } from '../action/characters.js';
import { CountersignError, type ErrorCode, type Problem } from '../action/errors.js';
import type { Digest } from '../action/json.js';
import { ACTION_ID_PATTERN, NAME_PATTERN, TENANT_PATTERN } from '../action/proposal.js';

/** Clocks of agents, approvers and workers may differ by this much, seconds. */
export const CLOCK_TOLERANCE_SECONDS = 60;

/** An agent's or a person's id: 1 to 63 of `A-Z a-z 0-9 . _ @ -`, a letter or digit first. */
export const PRINCIPAL_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/;

/**
 * An agent's id: a name, or for a delegate its delegator's id, a slash and a name. No registered agent has a slash in its id, and the
 * ids of those above a delegate are its own up to a slash.
 */
const AGENT_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}(?:\/[A-Za-z0-9][A-Za-z0-9._@-]{0,62})*$/;
/** Of a delegate's id, with all names in it. */
export const MAX_AGENT_ID = 255;

const DIGEST_PATTERN = /^sha256:[0-9a-f]{64}$/;

export const principalSchema = z.string().regex(PRINCIPAL_PATTERN);
export const agentIdSchema = z.string().max(MAX_AGENT_ID).regex(AGENT_PATTERN);
export const tenantSchema = z.string().regex(TENANT_PATTERN);
export const nameSchema = z.string().regex(NAME_PATTERN);
export const actionIdSchema = z.string().regex(ACTION_ID_PATTERN);
export const digestSchema = z.custom<Digest>((value) => typeof value === 'string' && DIGEST_PATTERN.test(value));
/** Text that a signature and a database carry faithfully. */
export const textSchema = z.string().refine((text) => text.isWellFormed() && !text.includes('\u0000'));
export const MAX_REASON_LENGTH = 2000;
/** A person's reason: well-formed, and without control characters other than tab and line feed, because it is shown in terminals. */
export const reasonSchema = z
  .string()
  .refine((text) => hasCharacters(text, 1, MAX_REASON_LENGTH))
  // oxlint-disable-next-line no-control-regex -- they are what is refused
  .refine((text) => text.isWellFormed() && !/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(text));

export const REASON_EXPECTED = `1 to ${MAX_REASON_LENGTH} characters of well-formed text without control characters`;

/** Text as a person typed it: forms send CRLF, and a bare CR would overwrite a terminal's line. */
export function typedText(text: string): string {
  return text.replaceAll(/\r\n?/g, '\n');
}

/** What steps sealed, by digest. */
export const stepDigestsSchema = z.array(z.strictObject({ step: textSchema.min(1).max(32), digest: digestSchema }));

/** Seconds since the epoch, until the year 9999. */
export const secondsSchema = z.number().int().min(0).max(253_402_300_799);

/** Makes the error of one kind of token. It never holds any of the token: tokens come from anybody, and end up in logs. */
export type RefusalFactory = (problem: string, details?: Problem) => CountersignError;

export function refusalFactory(code: ErrorCode, field: string): RefusalFactory {
  return (problem, details) => new CountersignError(code, problem, { field, ...details });
}

/** Where claims differ from their shape. Names places only, never what stands there. */
export function describeShapeError(error: z.ZodError): string {
  const issue = error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? 'The claims' : `The claim "${issue.path.join('.')}"`;
  if (issue?.code === 'unrecognized_keys') return `${where} hold a member that does not belong there`;
  return `${where} ${where === 'The claims' ? 'are' : 'is'} not of the expected shape`;
}

/** Whole seconds since the epoch; NaN for an invalid date, so that every comparison with it fails. */
export function seconds(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}

/** Whether something issued at `iat` exists yet, and whether it is over at `exp`; seconds. An invalid `now` is neither. */
export function validity(claims: { iat: number; exp: number }, now: Date): 'early' | 'valid' | 'expired' {
  const at = seconds(now);
  if (!(claims.iat <= at + CLOCK_TOLERANCE_SECONDS)) return 'early';
  return at < claims.exp + CLOCK_TOLERANCE_SECONDS ? 'valid' : 'expired';
}
