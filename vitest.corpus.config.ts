/** `npm run corpus`: records the decisions that the backtest's tests decide again. Not part of `npm test`. */
import base from './vitest.config.js';

export default { ...base, test: { ...base.test, include: ['test/corpus/record.ts'] } };
