/** `npm run check:api`: holds the gateway against its own API document with Schemathesis. Not part of `npm test`. */
import base from './vitest.config.js';

export default { ...base, test: { ...base.test, include: ['test/api/conformance.ts'] } };
