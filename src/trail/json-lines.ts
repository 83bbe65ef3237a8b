/** The lines of a file of JSON Lines (https://jsonlines.org). `readline` also ends lines at characters that JSON may hold within a text. */

const NEWLINE = 0x0a;

/** Stands for a line that is not UTF-8: no JSON. Two texts never look the same for what could not be read of them. */
const UNREADABLE = '\ufffd';

/** Each without its end. The last may lack one. */
export async function* linesIn(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let pending: Buffer[] = [];
  for await (const chunk of chunks) {
    let from = 0;
    for (let to = chunk.indexOf(NEWLINE); to !== -1; to = chunk.indexOf(NEWLINE, from)) {
      yield textOf([...pending, chunk.subarray(from, to)]);
      pending = [];
      from = to + 1;
    }
    if (from < chunk.length) pending.push(chunk.subarray(from));
  }
  if (pending.length > 0) yield textOf(pending);
}

function textOf(parts: readonly Buffer[]): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(parts));
  } catch {
    return UNREADABLE;
  }
}
