/** `npm run screenshots`: takes the pictures that the documents show, of a running system. Not part of `npm test`. */
import base from './vitest.config.js';

export default { ...base, test: { ...base.test, include: ['test/browser/take-*.ts'] } };
