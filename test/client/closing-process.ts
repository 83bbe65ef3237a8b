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
  (error: unknown) => asCountersignError(error).toJSON(),
);
await once(process, 'message');
await countersign.close();
const told = await call;
// An agent that repeats what it may repeat, without a pause, still lets its process do everything else.
const soon = AbortSignal.timeout(50);
while (!soon.aborted) await countersign.view('some-action', 'acme').catch(() => {});
await delay(LONGEST_RETRY_MS);
process.send?.(told);
process.disconnect();
