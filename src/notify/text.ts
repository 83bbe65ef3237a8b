/** Texts of strangers on their way to people: on one line, of a bounded length, and nothing but text in whatever carries them. */
import type { Notice, NoticeKind } from './notice.js';

const TITLES: Readonly<Record<NoticeKind, string>> = {
  asked: 'Approval wanted',
  reminded: 'Still waiting for approval',
  escalated: 'Escalated: approval wanted',
  decided: 'Decided',
  ended: 'Ended',
};

const WORDS = { approve: 'approved', deny: 'denied', request_changes: 'asked for changes' } as const;

/** What it is about, in a few words of our own. The newest truth, whatever the notice was sent for. */
export function titleOf({ kind, status }: Pick<Notice, 'kind' | 'status'>): string {
  return status === undefined ? TITLES[kind] : `Ended: ${status}`;
}

/** `ann approved, bob denied`. Empty without any decision. */
export function decisionsOf({ decisions }: Pick<Notice, 'decisions'>): string {
  return decisions.map(({ by, verdict }) => `${by} ${WORDS[verdict]}`).join(', ');
}

/** `2 × dba or lead: production needs a second pair of eyes`. */
export function requirementLines({ requirements }: Pick<Notice, 'requirements'>): string[] {
  return requirements.map(({ quorum, roles, reason }) => `${quorum} × ${roles.join(' or ')}: ${reason}`);
}

/** `2026-05-01 12:00 UTC`. */
export function moment(rfc3339: string): string {
  return `${rfc3339.slice(0, 16).replace('T', ' ')} UTC`;
}
