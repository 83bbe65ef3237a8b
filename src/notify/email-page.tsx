/** Renders a notice as an e-mail. The markup escapes everything, so text from others stays text. */
import type { Alert } from './alert.js';
import type { Notice } from './notice.js';
import { cautionLines, decisionsOf, moment, requirementLines, sourcesOf, titleOf } from './text.js';

/** The subject, on one line: without line breaks, no text can begin another header. */
export function subjectOf(notice: Notice): string {
  return `[Countersign] ${titleOf(notice)} in ${notice.environment}: ${notice.summary}`;
}

/** The facts of the notice, in order: pairs of a label and a text. */
function facts(notice: Notice): [string, string][] {
  const { summary, tool, environment, agent, expiresAt, status } = notice;
  const decided = decisionsOf(notice);
  const sources = sourcesOf(notice);
  return [
    ['What', summary],
    ['Where', `${tool}, ${environment}`],
    ['Proposed by', agent],
    ...(sources === '' ? [] : [['Comes from, says the agent', sources] as [string, string]]),
    ...(status === undefined ? [['Until', moment(expiresAt)] as [string, string]] : []),
    ...(decided === '' ? [] : [['So far', decided] as [string, string]]),
  ];
}

/** Of an action that still waits. */
function cautionsOf(notice: Notice): string[] {
  return notice.status === undefined ? cautionLines(notice) : [];
}

export function textOf(notice: Notice): string {
  const needed = notice.status === undefined ? requirementLines(notice) : [];
  const cautions = cautionsOf(notice);
  return [
    `${titleOf(notice)}.`,
    facts(notice)
      .map(([label, text]) => `${label}: ${text}`)
      .join('\n'),
    ...(needed.length === 0 ? [] : [`Needed:\n${needed.map((line) => `- ${line}`).join('\n')}`]),
    ...(notice.reasoning === undefined ? [] : [`Why, in the agent's own words:\n> ${notice.reasoning}`]),
    ...(cautions.length === 0 ? [] : [cautions.join('\n')]),
    `Look and decide there, after logging in:\n${notice.link}`,
    'This message decides nothing, and answering it does nothing.',
  ].join('\n\n');
}

export async function htmlOf(notice: Notice): Promise<string> {
  const needed = notice.status === undefined ? requirementLines(notice) : [];
  const page = (
    <html lang="en">
      <body>
        <h2>{titleOf(notice)}</h2>
        <table>
          {facts(notice).map(([label, text]) => (
            <tr>
              <th align="left">{label}</th>
              <td>{text}</td>
            </tr>
          ))}
        </table>
        {needed.length === 0 ? null : (
          <ul>
            {needed.map((line) => (
              <li>{line}</li>
            ))}
          </ul>
        )}
        {notice.reasoning === undefined ? null : (
          <>
            <p>Why, in the agent&#39;s own words:</p>
            <blockquote>{notice.reasoning}</blockquote>
          </>
        )}
        {cautionsOf(notice).map((line) => (
          <p>
            <strong>{line}</strong>
          </p>
        ))}
        <p>
          <a href={notice.link}>Look and decide there</a>, after logging in.
        </p>
        <p>This message decides nothing, and answering it does nothing.</p>
      </body>
    </html>
  );
  return `<!doctype html>${await page}`;
}

export interface EmailMessage {
  readonly subject: string;
  readonly text: string;
  readonly html?: string;
}

/** That something is wrong. */
export async function alertPage({ title, environment, lines, link }: Alert): Promise<EmailMessage> {
  const page = (
    <html lang="en">
      <body>
        <h2>{title}</h2>
        <ul>
          {lines.map((line) => (
            <li>{line}</li>
          ))}
        </ul>
        {link === undefined ? null : (
          <p>
            <a href={link}>Look and acknowledge there</a>, after logging in.
          </p>
        )}
      </body>
    </html>
  );
  return {
    subject: `[Countersign] ${title}${environment === undefined ? '' : ` in ${environment}`}`,
    text: [
      `${title}.`,
      lines.map((line) => `- ${line}`).join('\n'),
      ...(link === undefined ? [] : [`Look and acknowledge there, after logging in:\n${link}`]),
    ].join('\n\n'),
    html: `<!doctype html>${await page}`,
  };
}
