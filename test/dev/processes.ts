/** What the tests of src/dev ask of the operating system. */
import { readFile, readdir } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';

/** Whether a process runs. One that has ended and waits to be reaped does not. */
export async function runs(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (status === undefined) return false;
  // The state follows the command in parentheses, which may itself hold spaces and parentheses.
  return status.slice(status.lastIndexOf(')') + 2, status.lastIndexOf(')') + 3) !== 'Z';
}

/** Pids of the running processes whose command line holds the text. */
export async function processesWith(text: string): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => Number.isInteger(pid) && pid !== process.pid);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      return command.replaceAll('\0', ' ').includes(text) && (await runs(pid));
    }),
  );
  return pids.filter((_, i) => found[i]);
}

/** Something else that listens on a port. */
export async function occupyPort(): Promise<{ port: number; free(): Promise<void> }> {
  const server: Server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    free: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
}
