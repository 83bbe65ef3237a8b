/**
 * What people must do to lift a soft forbid, or to let an action pass at a limit: the grammar of `@approval("…")` and `approve by …`.
 *
 *     dba|lead, quorum=2, ttl=4h, denials=2, passkey, self, remind=30m, escalate=1h:cto|cfo; security, passkey
 *
 * `;` stands between requirements, all of which must be met. docs/approvals.md says what each option does.
 */
import type { Requirement } from '../action/decision.js';
import { DAY_SECONDS, parseSeconds } from '../action/duration.js';
import { GrammarError } from './grammar.js';

/** One requirement, without the policy that it belongs to. Options that the text does not give are absent. */
export type ApprovalTerms = Omit<Requirement, 'policy' | 'reason'>;

const ROLE = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$/;
/** The largest quorum of approvals or of denials. */
const MAX_PEOPLE = 20;
const MAX_TTL_SECONDS = 30 * DAY_SECONDS;
const DEFAULT_TTL_SECONDS = DAY_SECONDS;
const MAX_REQUIREMENTS = 5;
const MAX_ESCALATIONS = 5;

const FIX = 'Write @approval("role"), @approval("role|other role") or @approval("role, quorum=2, ttl=4h").';
const OPTIONS = 'quorum=2, ttl=4h, denials=2, passkey, self, remind=30m and escalate=1h:role';

type Options = { -readonly [name in keyof Omit<ApprovalTerms, 'roles'>]?: ApprovalTerms[name] };

/** Parses the text of an `@approval`, or the part after `approve by`. @throws GrammarError */
export function parseApprovals(text: string): readonly ApprovalTerms[] {
  const parts = text.split(';');
  if (parts.length > MAX_REQUIREMENTS) {
    throw new GrammarError(`it has ${parts.length} requirements`, `Ask for at most ${MAX_REQUIREMENTS}.`);
  }
  return parts.map(parseApproval);
}

function parseApproval(text: string): ApprovalTerms {
  const [first = '', ...rest] = text.split(',').map((item) => item.trim());
  const roles = parseRoles(first);
  const options: Options = {};
  for (const option of rest) readOption(option, options);
  const { quorum = 1, ttlSeconds = DEFAULT_TTL_SECONDS, escalations, ...others } = options;
  assertInTime('remind', others.remindSeconds, ttlSeconds);
  for (const { afterSeconds } of escalations ?? []) assertInTime('escalate', afterSeconds, ttlSeconds);
  return {
    roles,
    quorum,
    ttlSeconds,
    ...others,
    ...(escalations === undefined
      ? {}
      : { escalations: escalations.toSorted((a, b) => a.afterSeconds - b.afterSeconds) }),
  };
}

function parseRoles(text: string): readonly string[] {
  const roles = text.split('|').map((role) => role.trim());
  const wrong = roles.find((role) => !ROLE.test(role));
  if (wrong !== undefined) throw new GrammarError(`${JSON.stringify(wrong)} is not a role's name`, FIX);
  if (new Set(roles).size < roles.length) throw new GrammarError('a role is named twice', FIX);
  return roles.sort();
}

function readOption(option: string, options: Options): void {
  const equals = option.indexOf('=');
  const name = (equals < 0 ? option : option.slice(0, equals)).trim();
  const value = equals < 0 ? undefined : option.slice(equals + 1).trim();
  switch (name) {
    case 'passkey':
    case 'self':
      if (value !== undefined || options[name] !== undefined) break;
      options[name] = true;
      return;
    case 'quorum':
    case 'denials':
      if (value === undefined || options[name] !== undefined) break;
      options[name] = parsePeople(name, value);
      return;
    case 'ttl':
      if (value === undefined || options.ttlSeconds !== undefined) break;
      options.ttlSeconds = parseTime(name, value);
      return;
    case 'remind':
      if (value === undefined || options.remindSeconds !== undefined) break;
      options.remindSeconds = parseTime(name, value);
      return;
    case 'escalate':
      if (value === undefined) break;
      options.escalations = [...(options.escalations ?? []), parseEscalation(value)];
      assertEscalations(options.escalations);
      return;
  }
  throw new GrammarError(`${JSON.stringify(option)} is unknown or comes twice`, `Options are ${OPTIONS}. ${FIX}`);
}

function parsePeople(name: string, text: string): number {
  const people = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (people >= 1 && people <= MAX_PEOPLE) return people;
  throw new GrammarError(`${name}=${text} is not a whole number from 1 to ${MAX_PEOPLE}`, FIX);
}

function parseTime(name: string, text: string): number {
  const seconds = parseSeconds(text) ?? 0;
  if (seconds >= 1 && seconds <= MAX_TTL_SECONDS) return seconds;
  throw new GrammarError(`${name}=${text} is not a time such as 30m, 4h or 7d, of at most 30 days`, FIX);
}

function parseEscalation(text: string): NonNullable<ApprovalTerms['escalations']>[number] {
  // The name of a role may contain a colon, a duration never does.
  const colon = text.indexOf(':');
  if (colon < 0) {
    throw new GrammarError(
      `escalate=${text} does not say to whom`,
      'Write escalate=1h:role or escalate=1h:role|other.',
    );
  }
  return {
    afterSeconds: parseTime('escalate', text.slice(0, colon).trim()),
    roles: parseRoles(text.slice(colon + 1)),
  };
}

function assertEscalations(escalations: readonly { readonly afterSeconds: number }[]): void {
  if (escalations.length > MAX_ESCALATIONS) {
    throw new GrammarError('it escalates too often', `Escalate at most ${MAX_ESCALATIONS} times.`);
  }
  if (new Set(escalations.map(({ afterSeconds }) => afterSeconds)).size < escalations.length) {
    throw new GrammarError(
      'it escalates twice at one time',
      'Name all roles of that time in one escalate=1h:role|other.',
    );
  }
}

/** Refuses a reminder or escalation that comes too late to happen. @throws GrammarError */
function assertInTime(name: string, seconds: number | undefined, ttlSeconds: number): void {
  if (seconds === undefined || seconds < ttlSeconds) return;
  throw new GrammarError(
    `${name} comes after ${seconds} s, when the time to decide (${ttlSeconds} s) is over`,
    `Have ${name} come earlier, or give a longer ttl; without one it is a day.`,
  );
}
