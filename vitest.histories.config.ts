/** `npm run histories`: records the histories that the replay tests replay. Not part of `npm test`. */
import base from './vitest.config.js';

export default { ...base, test: { ...base.test, include: ['test/histories/record.ts'] } };
