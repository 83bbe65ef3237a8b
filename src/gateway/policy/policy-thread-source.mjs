/** The policy thread for when Countersign runs from TypeScript source, as in its tests: its modules are compiled into one. The built package needs none. */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const { outputFiles } = await build({
  entryPoints: [fileURLToPath(new URL('./policy-thread.ts', import.meta.url))],
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  write: false,
  // The modules load others relative to themselves, but a module that exists only in memory has no location.
  define: { 'import.meta.url': JSON.stringify(import.meta.url) },
});
await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
