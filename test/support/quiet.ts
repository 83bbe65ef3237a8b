/** Keeps the Temporal SDK's own log out of the test output: refusals that tests provoke are warnings there. */
import { DefaultLogger, Runtime } from '@temporalio/worker';

/** Call it before the first worker of the process. */
export function keepQuiet(): void {
  Runtime.install({
    logger: new DefaultLogger((process.env['TEST_LOG'] ?? '') === '' ? 'ERROR' : 'INFO'),
    telemetryOptions: { logging: { filter: 'ERROR', forward: {} } },
  });
}
