/** Starts the evaluator thread from TypeScript source: under tsx and vitest, and never from the built package, which has no such file. */
import { register } from 'tsx/esm/api';

register();
await import('./evaluator-thread.ts');
