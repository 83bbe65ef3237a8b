/** What Temporal's SDK logs of a step that failed, where the config redacts something. */
import { ApplicationFailure } from '@temporalio/common';
import pino from 'pino';
import { expect, test } from 'vitest';
import { sdkFields } from '../../src/telemetry/sdk-lines.js';

const NEEDLE = 'zx81needle';

function line(redacts: boolean, error: unknown): string {
  let written = '';
  const logger = pino({ level: 'trace' }, { write: (text: string) => void (written += text) });
  logger.warn(sdkFields({ activityType: 'propose', error }, redacts), 'Activity failed');
  return written;
}

test('quotes nothing that the step did, and says what failed and where', () => {
  const error = ApplicationFailure.create({
    message: `POST /customers on shop was answered with 503: ${NEEDLE} is taken`,
    type: 'TOOL_UNAVAILABLE',
    details: [{ code: 'TOOL_UNAVAILABLE', message: NEEDLE }],
    cause: new Error(NEEDLE),
  });
  expect(line(false, error)).toContain(NEEDLE);
  const told = line(true, error);
  expect(told).not.toContain(NEEDLE);
  expect(JSON.parse(told)).toMatchObject({
    activityType: 'propose',
    msg: 'Activity failed',
    error: { type: 'TOOL_UNAVAILABLE', stack: expect.stringContaining('sdk-lines.test.ts') as string },
  });
  expect(JSON.parse(line(true, new RangeError(NEEDLE)))).toMatchObject({ error: { type: 'RangeError' } });
  expect(line(true, NEEDLE)).not.toContain(NEEDLE);
  expect(JSON.parse(line(true, undefined))).not.toHaveProperty('error');
});
