/** The texts that all channels use. */
import type { Notice, NoticeKind } from './notice.js';

const TITLES: Readonly<Record<NoticeKind, string>> = {
  asked: 'Approval wanted',
  reminded: 'Still waiting for approval',
  escalated: 'Escalated: approval wanted',
  decided: 'Decided',
  ended: 'Ended',
};

const WORDS = { approve: 'approved', deny: 'denied', request_changes: 'asked for changes' } as const;

/** The title of a notice, by the current state of the action, whatever the notice was sent for. */
export function titleOf({ kind, status, canary }: Pick<Notice, 'kind' | 'status' | 'canary'>): string {
  if (canary === true) return 'This was a canary: nobody proposed it';
  return status === undefined ? TITLES[kind] : `Ended: ${status}`;
}

/** The decisions in words: `ann approved, bob denied`. Empty when there is none. */
export function decisionsOf({ decisions }: Pick<Notice, 'decisions'>): string {
  return decisions.map(({ by, verdict }) => `${by} ${WORDS[verdict]}`).join(', ');
}

/** One line for each requirement: `2 × dba or lead: production needs a second pair of eyes`. */
export function requirementLines({ requirements }: Pick<Notice, 'requirements'>): string[] {
  return requirements.map(({ quorum, roles, reason }) => `${quorum} × ${roles.join(' or ')}: ${reason}`);
}

/** One line for all that led to the proposal, as the agent says: `email 4711 (not trusted), prompt`. Empty when it says nothing. */
export function sourcesOf({ from = [] }: Pick<Notice, 'from'>): string {
  return from.map(({ source, trust }) => (trust === 'untrusted' ? `${source} (not trusted)` : source)).join(', ');
}

/** What to know of this message before deciding on it. */
export function cautionLines({ cut, warnings = [] }: Pick<Notice, 'cut' | 'warnings'>): string[] {
  return [
    ...(cut === true ? ['This message shows a part of the texts: read the whole on the page.'] : []),
    ...warnings.map((warning) => `Look twice: ${warning}.`),
  ];
}

/** Formats an instant as `2026-05-01 12:00 UTC`. */
export function moment(rfc3339: string): string {
  return `${rfc3339.slice(0, 16).replace('T', ' ')} UTC`;
}
