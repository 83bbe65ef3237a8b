/** Lines at the end of a file that others read as JSON Lines. */
import { open } from 'node:fs/promises';

const NEWLINE = 0x0a;

/** Appends a line, on the disk when this returns. What an append that was cut short has left stays a line of its own. */
export async function appendLine(file: string, line: string): Promise<void> {
  const handle = await open(file, 'a+', 0o644);
  try {
    const { size } = await handle.stat();
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1));
    await handle.appendFile(`${size > 0 && buffer[0] !== NEWLINE ? '\n' : ''}${line}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
