/**
 * The adapter for CrewAI in a crew, against a real gateway and worker. CrewAI wants other versions of what the other frameworks stand on, so it has an
 * environment of its own, of 900 MB.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startWorld, type World } from './world.js';

let world: World;

beforeAll(async () => {
  world = await startWorld('python-crewai', 'crewai.txt');
}, 600_000);
afterAll(() => world?.stop());

describe.concurrent('the adapter for CrewAI', { timeout: 300_000 }, () => {
  test('passes its tests', async () => {
    expect(await world.succeeds('pytest', '-k', 'crewai')).toMatch(/\d+ passed/);
  });

  test('has its types, strictly', async () => {
    const files = ['src/countersign_client/crewai.py', 'tests/crewai_loop.py'];
    expect(await world.succeeds('mypy', ...files)).toContain('no issues found');
  });
});
