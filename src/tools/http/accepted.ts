/** Follows a job that a service accepted (202) until it has ended, or its time is over. */
import { setTimeout as delay } from 'node:timers/promises';
import { asCountersignError } from '../../action/errors.js';
import type { Json } from '../../action/json.js';
import { LONGEST_STATED_MS, retryAfter } from '../../http/retry-after.js';
import { one } from '../../http/body.js';
import type { Answer } from '../../http/wire.js';
import type { Execution } from '../tool.js';
import { scopeOf, type HttpInput } from './input.js';
import type { CompiledAccepted, Operation } from './operation.js';
import { at } from './pointer.js';
import { serviceMessage, unknown, type HttpResult } from './response-classification.js';
import { contextOf, readAt, within, type Service } from './service.js';
import { expand } from './template.js';

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;

/** The response that accepted a job. */
export interface AcceptedJob {
  readonly operation: Operation;
  readonly accepted: CompiledAccepted;
  readonly input: HttpInput;
  readonly response: Answer;
  readonly result: HttpResult;
}

/**
 * Reads the job until it is done, and returns the result with the job in it. A job that failed is returned too, as a part that was not
 * done: it may have done some of its work, so the system is read again and the outcome is a mismatch with the job's words.
 *
 * @throws CountersignError EFFECT_UNKNOWN when the job has not ended in time, or cannot be found
 */
export async function followJob(service: Service, job: AcceptedJob, signal: AbortSignal): Promise<Execution> {
  const { operation, accepted, result } = job;
  const end = performance.now() + accepted.withinMs;
  const url = placeOf(service, job);
  if (url === undefined) throw unknown(`${service.tool} accepted ${operation.name} without saying where its job is.`);
  let last = job.response;
  let trouble = '';
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    const waitMs = Math.max(retryAfter(last, LONGEST_STATED_MS) ?? 0, pause * (0.5 + Math.random() / 2));
    const leftMs = end - performance.now();
    if (leftMs <= 0 || !(await slept(Math.min(waitMs, leftMs), signal))) {
      throw unknown(
        `The job of ${operation.name} on ${service.tool} has not ended within ${accepted.withinMs} ms${trouble}.`,
      );
    }
    const read = await readJob(service, job, url, signal);
    trouble = 'trouble' in read ? `: ${read.trouble}` : '';
    if ('trouble' in read) continue;
    last = read.response;
    const values = { input: scopeOf(job.input) as Json, pre: null, post: null, result: read.body };
    const execution = { result: { ...result, job: read.body } };
    if (accepted.failed?.(values).ok === true) {
      return { ...execution, parts: [{ name: 'job', done: false, detail: await wordsOf(service, job, read) }] };
    }
    if (accepted.done(values).ok) return execution;
  }
}

function placeOf({ client }: Service, { operation, accepted, input, response, result }: AcceptedJob): URL | undefined {
  if (accepted.poll !== 'location') return expand(accepted.poll, client.base, scopeOf(input, { result }));
  const location = one(response.headers['location']);
  const from = expand(operation.url, client.base, scopeOf(input));
  return location === undefined || from === undefined ? undefined : client.target(location, from);
}

interface JobRead {
  readonly response: Answer;
  readonly body: Json;
}

/** A job that cannot be read at this moment may be read at the next. */
async function readJob(
  service: Service,
  { operation }: AcceptedJob,
  url: URL,
  signal: AbortSignal,
): Promise<JobRead | { readonly trouble: string }> {
  try {
    const { response, result } = await readAt(
      service,
      { url },
      contextOf(service, 'GET', operation.url),
      within(service, signal),
    );
    return result === undefined ? { trouble: 'there is no such job' } : { response, body: result.body };
  } catch (thrown) {
    return { trouble: asCountersignError(thrown).message };
  }
}

async function wordsOf(
  service: Service,
  { operation, accepted }: AcceptedJob,
  { response, body }: JobRead,
): Promise<string> {
  const said = accepted.message === undefined ? undefined : at(body, accepted.message);
  const words =
    said === undefined
      ? await serviceMessage(response, contextOf(service, 'GET', operation.url))
      : ` (${JSON.stringify(said)
          .replaceAll(/[\p{C}\p{Z}]+/gu, ' ')
          .slice(0, 300)})`;
  return `the service says that it failed${words}`;
}

async function slept(ms: number, signal: AbortSignal): Promise<boolean> {
  return await delay(ms, true, { signal }).catch(() => false);
}
