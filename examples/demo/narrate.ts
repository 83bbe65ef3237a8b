/** Prints what happens, in plain words on at most 100 columns. */
import pc from 'picocolors';
import type { CountersignError } from '../../src/action/errors.js';
import type { Json, JsonObject } from '../../src/action/json.js';
import type { Outcome, PendingView } from '../../src/action/outcome.js';
import type { PendingAction, ProposalInput } from '../../src/index.js';
import type { BacktestSummary, DecisionChange } from '../../src/policy/backtest/index.js';
import type { Findings, Heading, Result } from './play.js';

const WIDTH = 100;
const LABEL = 20;

type Colour = (text: string) => string;

const COLOUR_OF: Readonly<Record<Outcome['status'] | 'pending', Colour>> = {
  success: pc.green,
  pending: pc.yellow,
  denied: pc.red,
  mismatch: pc.red,
  failed: pc.red,
  unknown: pc.red,
  expired: pc.yellow,
  cancelled: pc.yellow,
};

export class Narrator {
  readonly #write: (line: string) => void;

  constructor(write: (line: string) => void = (line) => process.stdout.write(`${line}\n`)) {
    this.#write = write;
  }

  /** What is being prepared. */
  step(text: string): void {
    this.#write(pc.dim(`· ${text}`));
  }

  scene({ letter, title, story }: Heading): void {
    this.#write('');
    this.#write(pc.bold(pc.cyan(`── ${letter} ── ${title} ${'─'.repeat(Math.max(3, WIDTH - title.length - 10))}`)));
    for (const line of wrap(story, WIDTH - 3)) this.#write(`   ${line}`);
  }

  /** An agent's proposal, as it sends it. */
  wants(agent: string, { input, reasoning, claims }: ProposalInput): void {
    this.#labelled(`${agent} wants`, pieces(input));
    if (reasoning !== undefined) this.#labelled('', `because: "${reasoning}"`, pc.dim);
    if (claims !== undefined) this.#labelled('', `believing: ${JSON.stringify(claims)}`, pc.dim);
  }

  /** What Countersign answers. */
  says(reply: Outcome | PendingAction): void {
    const colour = COLOUR_OF[reply.status];
    this.#labelled('Countersign answers', `${reply.status}: ${reply.reason}`, colour);
    if (reply.status !== 'pending' && reply.receipt !== undefined) {
      this.#labelled('', `receipt ${reply.receipt.seq}, ${reply.receipt.hash.slice(0, 23)}…`, pc.dim);
    }
  }

  /** What a person is shown before deciding. */
  shows({ shown }: PendingView): void {
    const { preview, agent, tool } = shown;
    this.#labelled('The dba sees', `${preview.summary} on ${tool.name} (${tool.environment}), proposed by ${agent.id}`);
    for (const row of preview.sample.slice(0, 3)) this.#labelled('', inWords(row), pc.dim);
    this.#labelled(
      '',
      `… the first ${Math.min(3, preview.sample.length)} of ${preview.rows} rows as they are now`,
      pc.dim,
    );
    for (const warning of preview.warnings ?? []) this.#labelled('', `warning: ${warning}`, pc.yellow);
    this.#labelled('', `state before: ${shown.preDigest.slice(0, 23)}…`, pc.dim);
  }

  decides(verdict: 'approve' | 'deny', reason: string): void {
    this.#labelled('The dba decides', `${verdict}: "${reason}"`, verdict === 'approve' ? pc.green : pc.red);
  }

  /** What the demo itself read from the shop. */
  database(query: string, answer: Json): void {
    this.#labelled('The database says', JSON.stringify(answer));
    this.#labelled('', query, pc.dim);
  }

  /** Who, what and why, as the history has it. */
  history(lines: Findings): void {
    for (const [index, [what, value]] of Object.entries(lines).entries()) {
      this.#labelled(index === 0 ? 'The history says' : '', `${what}: ${inWord(value)}`);
    }
  }

  /** What another policy would have decided of the scenes before. */
  backtest({ redecided, same }: BacktestSummary, changes: readonly DecisionChange[]): void {
    this.#labelled('The backtest says', `${same} of ${redecided} decisions stay as they are`);
    for (const { kind, actionId, before, after } of changes) {
      this.#labelled('', `${kind}: ${actionId}, ${before.effect} becomes ${after.effect}`, pc.dim);
    }
  }

  note(text: string): void {
    this.#labelled('', text);
  }

  meanwhile(text: string): void {
    this.#labelled('Meanwhile', text, pc.magenta);
  }

  judged({ played, differences }: Result): void {
    if (differences.length === 0) this.#labelled('✓ as expected', inWords(played?.expected ?? {}), pc.green);
    for (const difference of differences) this.#labelled('✗ not as expected', difference, pc.red);
  }

  /** The scenes once more, with the address of each in the Temporal UI. */
  summary(results: readonly Result[], link: (actionId: string) => string): void {
    this.#write('');
    this.#write(pc.bold(pc.cyan(`── all scenes ${'─'.repeat(WIDTH - 14)}`)));
    for (const { letter, title, actionId, played, differences } of results) {
      const good = differences.length === 0;
      const { outcome } = played?.seen ?? { outcome: 'error' };
      this.#write(`${good ? pc.green('✓') : pc.red('✗')} ${letter}  ${title.padEnd(60)} ${inWord(outcome)}`);
      this.#write(pc.dim(`     ${link(actionId)}`));
    }
    this.#write('');
  }

  receipts({ ok, text }: { readonly ok: boolean; readonly text: string }): void {
    this.#write(ok ? pc.green(`receipts: ${text}`) : pc.red(`receipts: ${text}`));
  }

  verdict(line: string): void {
    this.#write(line);
  }

  /** The demo itself failed. */
  failure({ code, message, fix }: CountersignError): void {
    this.#write(pc.red(`${code}: ${message}`));
    if (fix !== undefined) this.#write(fix);
  }

  #labelled(label: string, text: string | readonly string[], colour: Colour = String): void {
    for (const [index, line] of wrap(text, WIDTH - LABEL).entries()) {
      this.#write(pc.bold((index === 0 ? label : '').padEnd(LABEL)) + colour(line));
    }
  }
}

/** JSON in pieces that a line may end after: a name stays with its value, a bracket with what it holds. */
function pieces(value: JsonObject): string[] {
  return JSON.stringify(value, null, 1)
    .replaceAll(/(?<=[{[])\n\s*|\n\s*(?=[}\]])/g, '')
    .split(/\n\s*/);
}

function inWords(row: JsonObject | Findings): string {
  return Object.entries(row)
    .map(([name, value]) => `${name} ${inWord(value)}`)
    .join(', ');
}

function inWord(value: Json | undefined): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null);
}

/** Breaks at spaces, or between the pieces given; what is longer than a line sticks out. */
function wrap(text: string | readonly string[], width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of typeof text === 'string' ? text.split(/\s+/) : text) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
