/** An effect was made, and what comes after it is taken up by a worker that is set up wrongly. Whatever that worker cannot check, the effect is not denied. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import type { Countersign } from '../../src/client/countersign.js';
import type { Tool } from '../../src/tools/tool.js';
import { journal, journalTool } from '../support/journal-tool.js';
import { ended, startStack, type Stack } from '../support/stack.js';

let stack: Stack;
let admin: Countersign;
let folder: string;
let moved = false;

const MINUTES = 60_000;

/** After its first effect the tool is configured as another environment's, as on a worker with another config. */
function movingTool(): Tool {
  const tool = journalTool({ name: 'moving', file: path.join(folder, 'moving'), idempotency: 'native' }) as Tool;
  return {
    ...tool,
    get environment() {
      return moved ? 'elsewhere' : 'staging';
    },
    async execute(input, context) {
      await tool.execute(input, context);
      moved = true;
      throw new CountersignError('EFFECT_UNKNOWN', 'The reply was lost.');
    },
  };
}

/** After its effect the worker's clock is ten minutes late, until somebody sets it right. */
function lateTool(): Tool {
  const tool = journalTool({ name: 'late', file: path.join(folder, 'late'), idempotency: 'lookup' }) as Tool;
  return {
    ...tool,
    async execute(input, context) {
      const execution = await tool.execute(input, context);
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 10 * MINUTES });
      setTimeout(() => vi.useRealTimers(), 2_000);
      return execution;
    },
  };
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-taken-up-'));
  stack = await startStack({ schema: 'SELECT 1', tools: () => [movingTool(), lateTool()] });
  admin = await stack.agent();
});
afterEach(() => {
  moved = false;
  vi.useRealTimers();
});
afterAll(async () => {
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

test.each(['moving', 'late'])('%s: the effect is there, and nobody is told that it is not', async (name) => {
  const { status } = await ended(admin, { tool: name, input: { line: 'a' } });
  expect(await journal(path.join(folder, name))).toHaveLength(1);
  expect(['success', 'mismatch', 'unknown']).toContain(status);
});
