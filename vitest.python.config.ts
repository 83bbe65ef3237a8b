/** `npm run check:python`: the Python client against a real gateway, its types and its wheel. Not part of `npm test`. */
import base from './vitest.config.js';

export default { ...base, test: { ...base.test, include: ['test/python/client.ts'] } };
