/**
 * Switches off the mutant of the run before, in a thread that is kept: what a file of tests does while it is loaded is done by the sources as they are.
 * Nor does it find a policy that a mutant made.
 */
import { inject } from 'vitest';
import { emptyCaches } from './caches.js';

emptyCaches();

const provided = inject as (key: string) => unknown;
const stryker = (globalThis as unknown as Record<string, { activeMutant?: unknown } | undefined>)['__stryker__'];
if (stryker !== undefined && provided('mutantActivation') !== 'static') stryker.activeMutant = undefined;
