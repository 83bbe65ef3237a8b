/**
 * The evaluator thread for when Countersign runs from TypeScript source, as in its tests: the thread's modules are compiled into one, which
 * is faster than having a loader compile each. The built package has no such file and needs none.
 */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const { outputFiles } = await build({
  entryPoints: [fileURLToPath(new URL('./evaluator-thread.ts', import.meta.url))],
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  write: false,
  // The modules load others relative to themselves, but a module that exists only in memory has no location.
  define: { 'import.meta.url': JSON.stringify(import.meta.url) },
});
await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
