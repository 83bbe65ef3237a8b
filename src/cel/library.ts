/**
 * The CEL library, loaded once for the process and once for each evaluator thread. It is loaded as CommonJS, because as ES modules its
 * hundred files take a third longer to load in every thread.
 */
import { createRequire } from 'node:module';
import type * as Cel from '@bufbuild/cel';
import type * as Re2 from '@bufbuild/re2';

const load = createRequire(import.meta.url);

export const cel = load('@bufbuild/cel') as typeof Cel;
export const { RE2JS } = load('@bufbuild/re2') as typeof Re2;
