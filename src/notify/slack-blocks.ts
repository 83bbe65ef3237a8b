/** Renders a notice for Slack (https://docs.slack.dev/reference/block-kit). Untrusted text is plain text, and is escaped as well. */
import type { KnownBlock, PlainTextElement } from '@slack/web-api';
import type { Alert } from './alert.js';
import { ASKING, type Notice } from './notice.js';
import { cautionLines, decisionsOf, moment, requirementLines, sourcesOf, titleOf } from './text.js';

/** The action ids that the buttons send to the gateway's `/slack/interactions`. */
export const SLACK_ACTIONS = {
  approve: 'countersign.approve',
  deny: 'countersign.deny',
  open: 'countersign.open',
} as const;

export interface SlackMessage {
  /** The text for notifications and screen readers. */
  readonly text: string;
  readonly blocks: KnownBlock[];
}

/** The longest texts that Slack accepts, in characters. */
const MAX = { header: 150, field: 2000, section: 3000 } as const;

export function messageOf(notice: Notice, { buttons }: { readonly buttons: boolean }): SlackMessage {
  const title = `${titleOf(notice)} (${notice.environment})`;
  const open = notice.status === undefined && ASKING.has(notice.kind);
  const cautions = cautionLines(notice);
  return {
    text: escaped(`${title}: ${notice.summary} on ${notice.tool}`).slice(0, MAX.section),
    blocks: [
      { type: 'header', text: plain(title, MAX.header) },
      {
        type: 'section',
        fields: [
          plain(`What: ${notice.summary}`, MAX.field),
          plain(`Where: ${notice.tool}, ${notice.environment}`, MAX.field),
          plain(`Proposed by: ${notice.agent}`, MAX.field),
          ...(open ? [plain(`Until: ${moment(notice.expiresAt)}`)] : []),
        ],
      },
      ...section(notice.reasoning === undefined ? undefined : `The agent's own words: “${notice.reasoning}”`),
      ...section(notice.from === undefined ? undefined : `Comes from, says the agent: ${sourcesOf(notice)}`),
      ...section(open ? cautions.join('\n') : undefined),
      ...section(open ? requirementLines(notice).join('\n') : undefined),
      ...section(decisionsOf(notice)),
      { type: 'actions', elements: buttonsOf(notice, open && buttons && cautions.length === 0) },
    ],
  };
}

/** That something is wrong. It has no buttons but the link: people look at the page. */
export function alertMessageOf({ title, environment, lines, link }: Alert): SlackMessage {
  const text = `${title}${environment === undefined ? '' : ` (${environment})`}`;
  return {
    text: escaped(text).slice(0, MAX.section),
    blocks: [
      { type: 'header', text: plain(text, MAX.header) },
      ...section(lines.join('\n')),
      ...(link === undefined
        ? []
        : [
            {
              type: 'actions' as const,
              elements: [{ type: 'button' as const, action_id: SLACK_ACTIONS.open, text: plain('Open'), url: link }],
            },
          ]),
    ],
  };
}

/** The buttons make no decision: they lead to the page where people decide. Where something here is cut, only the page offers one. */
function buttonsOf({ actionId, link }: Notice, deciding: boolean) {
  const button = (action: keyof typeof SLACK_ACTIONS, label: string) =>
    ({ type: 'button', action_id: SLACK_ACTIONS[action], text: plain(label), value: actionId }) as const;
  const open = { ...button('open', 'Open'), url: link };
  if (!deciding) return [open];
  return [
    { ...button('approve', 'Approve…'), style: 'primary' as const },
    { ...button('deny', 'Deny…'), style: 'danger' as const },
    open,
  ];
}

function section(text: string | undefined): KnownBlock[] {
  return text === undefined || text === '' ? [] : [{ type: 'section', text: plain(text) }];
}

function plain(text: string, most: number = MAX.section): PlainTextElement {
  return { type: 'plain_text', text: cut(escaped(text), most), emoji: false };
}

/** Escapes the three characters without which Slack finds no `<!channel>`, `<@U1>` or `<https://…|label>` in a text. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Shortens a text, but not in the middle of an escape or a surrogate pair. */
function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).replace(/(&[a-z]*|[\ud800-\udbff])$/, '')}…`;
}
