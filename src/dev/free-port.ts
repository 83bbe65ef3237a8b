/** Ports for servers on this machine. */
import { createServer } from 'node:net';
import { CountersignError } from '../action/errors.js';

/** Where every embedded server listens; never reachable from another machine. */
export const LOOPBACK = '127.0.0.1';

/**
 * A TCP port that was free a moment ago. Another process may take it before it is used, so whoever binds it must be ready to
 * ask for another one.
 */
export async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port: 0, host: LOOPBACK, exclusive: true }, () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === 'string') reject(new Error('The system gave no port.'));
        else resolve(address.port);
      });
    });
  });
}

/** Whether nothing listens on the port now. */
export async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** The port that people know, or a free one where something listens on it. */
export async function usualOrFreePort(usual: number): Promise<number> {
  return (await isFree(usual)) ? usual : await freePort();
}

/** The error for a port that was asked for and is taken. */
export function portInUse(server: string, port: number): CountersignError {
  return new CountersignError('CONFIG_INVALID', `Port ${port} for ${server} is in use.`, {
    field: `ports.${server}`,
    expected: 'a port that nothing listens on',
    fix: 'Stop what listens there, choose another port, or leave it out to get a free one.',
  });
}
