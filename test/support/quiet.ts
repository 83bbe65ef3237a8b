/** Keeps the Temporal SDK's own log out of the test output: refusals that tests provoke are warnings there. */
import { DefaultLogger, Runtime } from '@temporalio/worker';

let quiet = false;

/** Call it before the first worker of the process, which may have many files of tests to run. */
export function keepQuiet(): void {
  if (quiet) return;
  quiet = true;
  Runtime.install({
    logger: new DefaultLogger((process.env['TEST_LOG'] ?? '') === '' ? 'ERROR' : 'INFO'),
    telemetryOptions: { logging: { filter: 'ERROR', forward: {} } },
  });
}
