/** A process of its own that has a call on Temporal under way, closes its client when its parent says so, and tells what became of the call. */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { asCountersignError } from '../../src/action/errors.js';
import { Countersign } from '../../src/client/countersign.js';

/** Longer than the Temporal client ever waits before it tries a call again. */
const LONGEST_RETRY_MS = 6_000;

const countersign = await Countersign.connect({ address: process.env['TEMPORAL_ADDRESS'] as string });
const call = countersign.view('some-action', 'acme').then(
  () => 'answered',
  (error: unknown) => asCountersignError(error).code,
);
await once(process, 'message');
await countersign.close();
const code = await call;
await delay(LONGEST_RETRY_MS);
process.send?.({ code });
process.disconnect();
