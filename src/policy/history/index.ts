/** History in rules: what history.yaml declares, what an action asks of earlier ones, and what follows from what they came to. */
export { awaited, type AwaitedActions } from './awaited.js';
export { historyBesideOthers } from './beside.js';
export { historyClaim } from './claim.js';
export { historyFigure } from './figures.js';
export { resolveHistory, type ReadHistory } from './resolve.js';
