/** Keeps the Temporal SDK's own log out of the test output: refusals that tests provoke are warnings there. */
import { DefaultLogger, Runtime } from '@temporalio/worker';

Runtime.install({
  logger: new DefaultLogger((process.env['TEST_LOG'] ?? '') === '' ? 'ERROR' : 'INFO'),
  telemetryOptions: { logging: { filter: 'ERROR', forward: {} } },
});
