/** The policy thread for when Countersign runs from TypeScript source, as the demo does. The built package needs none. */
import { tsImport } from 'tsx/esm/api';

await tsImport('./policy-thread.ts', import.meta.url);
