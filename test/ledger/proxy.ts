/** A TCP proxy before Postgres that counts round trips and can lose a reply. */
import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface Proxy {
  /** The address given, by way of the proxy. */
  readonly url: string;
  /** How often a client waited for the server since the count was last asked for. Needs `replyDelayMs`. */
  takeRoundTrips(): number;
  /** Cuts the connection on which the server next confirms this command, instead of passing that on. */
  loseReplyTo(command: 'COMMIT' | 'SELECT' | 'INSERT'): void;
  /** Connections cut that way. */
  readonly cuts: number;
  /** Passes nothing on any more, either way, on the connections that are open now, and leaves them open: a network that swallows. */
  silence(): void;
  close(): Promise<void>;
}

/**
 * @param replyDelayMs holds each answer back, so that what a client sends without waiting is seen as one request
 * @param port default: any that is free
 */
export async function startProxy(target: string, replyDelayMs = 0, port = 0): Promise<Proxy> {
  const url = new URL(target);
  const open = new Set<Socket>();
  let roundTrips = 0;
  let losing: string | undefined;
  let cuts = 0;
  let era = 0;

  const server = createServer((client) => {
    const upstream = connect(Number(url.port), url.hostname);
    const opened = era;
    let waiting = false;
    let passing: Promise<void> = Promise.resolve();
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        open.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (chunk) => {
      if (opened !== era) return;
      if (!waiting) roundTrips++;
      waiting = true;
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (opened !== era) return;
      // A CommandComplete message: "C", its length, the command and a NUL.
      if (losing !== undefined && chunk.includes(losing)) {
        losing = undefined;
        cuts++;
        upstream.destroy();
        return;
      }
      const before = passing;
      passing = (async () => {
        await before;
        if (replyDelayMs > 0) await delay(replyDelayMs);
        waiting = false;
        client.write(chunk);
      })();
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const via = new URL(target);
  via.hostname = '127.0.0.1';
  via.port = String((server.address() as AddressInfo).port);
  return {
    url: via.href,
    takeRoundTrips() {
      const count = roundTrips;
      roundTrips = 0;
      return count;
    },
    loseReplyTo(command) {
      losing = command;
    },
    silence() {
      era++;
    },
    get cuts() {
      return cuts;
    },
    async close() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
