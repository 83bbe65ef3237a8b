/** History in rules: what history.yaml declares, what an action asks of earlier ones, and what follows from what they came to. */
export { awaited, type Awaited } from './awaited.js';
export { historyClaim } from './claim.js';
export { HISTORY_FILE, NO_HISTORY, type HistoryFact, type HistorySet } from './fact.js';
export { historyFigure, historyFigures } from './figures.js';
export { parseHistory } from './read.js';
export { resolveHistory, type ReadHistory, type ResolvedHistory } from './resolve.js';
