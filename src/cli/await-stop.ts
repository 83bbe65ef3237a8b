/** The end of a command that runs until it is stopped: by Ctrl-C or SIGTERM, in good order, with exit code 0. */
import { onShutdown } from '../shutdown.js';

export interface Stopping {
  /** Settles when everything that was registered with `onShutdown` since has been put away. */
  readonly stopped: Promise<'stopped'>;
}

/** Call it before anything else is registered: what comes first ends last. */
export function awaitStop(): Stopping {
  let clean = false;
  const stopped = new Promise<'stopped'>((resolve) => {
    onShutdown('the command', () => {
      clean = true;
      resolve('stopped');
    });
  });
  // A signal's own exit code (130, 143) says that something was interrupted; here it is how one stops.
  process.once('exit', () => {
    if (clean) process.exitCode = 0;
  });
  return { stopped };
}
