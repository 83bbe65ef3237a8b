/** The thread that does one job on policies, which it gets as `workerData`, and posts the answer or the error. */
import { parentPort, workerData } from 'node:worker_threads';
import { asCountersignError, type ErrorView } from '../../action/errors.js';
import { work, type Job } from './jobs.js';

export type ThreadAnswer = { readonly answer: ReturnType<typeof work> } | { readonly error: ErrorView };

function answered(): ThreadAnswer {
  try {
    return { answer: work(workerData as Job) };
  } catch (error) {
    return { error: asCountersignError(error).toJSON() };
  }
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
parentPort?.postMessage(answered());
