/** What the command line writes: for people on a terminal, or one JSON document for scripts. */
import pc from 'picocolors';
import { asCountersignError, type CountersignError } from '../action/errors.js';
import { variable } from '../environment.js';
import { sanitize } from '../presentation/sanitize.js';
import type { Terminal, Writer } from './terminal.js';

export type Paint = ReturnType<typeof pc.createColors>;

export interface OutputOptions {
  /** One JSON document on stdout, errors included, instead of text for people. */
  readonly json: boolean;
  readonly on: Pick<Terminal, 'env' | 'stdout' | 'stderr'>;
}

/** Text where nobody asked for a width. */
const DEFAULT_WIDTH = 100;

export class Output {
  readonly json: boolean;
  readonly paint: Paint;
  /** Of the terminal, in characters. */
  readonly width: number;
  readonly #stdout: Writer;
  readonly #stderr: Writer;
  readonly #paintError: Paint;
  readonly #debug: boolean;

  constructor({ json, on: { env, stdout, stderr } }: OutputOptions) {
    this.json = json;
    this.paint = pc.createColors(colourful(stdout, env));
    this.width = stdout.columns || DEFAULT_WIDTH;
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.#paintError = pc.createColors(colourful(stderr, env));
    this.#debug = variable('COUNTERSIGN_DEBUG', env) !== undefined;
  }

  /** The command's result, once: `document` for scripts, what `text` returns for people. */
  result(document: unknown, text: () => string): void {
    this.#stdout.write(this.json ? `${JSON.stringify(document, null, 2)}\n` : ended(text()));
  }

  /** Something for people before the result: on stdout, or on stderr where stdout is for a script. */
  present(draw: (paint: Paint) => string, { script = this.json } = {}): void {
    if (script) this.#stderr.write(ended(draw(this.#paintError)));
    else this.#stdout.write(ended(draw(this.paint)));
  }

  /** What happens meanwhile, on stderr. Scripts may ignore it. */
  note(text: string): void {
    this.#stderr.write(ended(this.#paintError.dim(text)));
  }

  warn(text: string): void {
    this.#stderr.write(ended(`${this.#paintError.yellow('warning')} ${text}`));
  }

  /** An error that ends the command, where it gives no result. */
  fail(thrown: unknown): CountersignError {
    const error = asCountersignError(thrown);
    if (this.json) this.result({ error: error.toJSON() }, () => '');
    return this.complain(error);
  }

  /** An error beside a result, which in JSON carries it itself. */
  complain(error: CountersignError): CountersignError {
    if (!this.json) this.#stderr.write(errorText(error, this.#paintError));
    if (this.#debug) this.#stderr.write(`${debugText(error)}\n`);
    return error;
  }
}

/** `error CODE: message`, and what to do. Messages may quote what came from outside. */
function errorText(error: CountersignError, paint: Paint): string {
  const { code, message, field, expected, fix } = error;
  const lines = [`${paint.red(paint.bold(`error ${code}`))}: ${sanitize(message)}`];
  if (field !== undefined) lines.push(`  ${paint.dim('field')}     ${sanitize(field)}`);
  if (expected !== undefined) lines.push(`  ${paint.dim('expected')}  ${sanitize(expected)}`);
  if (fix !== undefined) lines.push(`  ${paint.dim('fix')}       ${sanitize(fix)}`);
  return `${lines.join('\n')}\n`;
}

function debugText(error: Error): string {
  const chain: string[] = [];
  for (let cause: unknown = error; cause instanceof Error && chain.length < 8; cause = cause.cause) {
    chain.push(cause.stack ?? cause.message);
  }
  return chain.join('\ncaused by: ');
}

/** https://no-color.org, FORCE_COLOR, and no colours into files and pipes. */
function colourful(stream: Writer, env: Terminal['env']): boolean {
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined && forced !== '') return forced !== '0';
  return stream.isTTY && env['TERM'] !== 'dumb';
}

function ended(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}

/** A reader that goes away (`| head`) is no error: what is left is not written, and the command ends as it would. */
export function surviveClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
}

/** Returns when everything written has left, or cannot any more: ending the process earlier would cut what goes into a pipe. */
export async function flush(): Promise<void> {
  await Promise.all(
    [process.stdout, process.stderr].map(
      (stream) =>
        new Promise<void>((resolve) => {
          if (stream.writableNeedDrain || stream.writableLength > 0) stream.write('', () => resolve());
          else resolve();
        }),
    ),
  );
}
