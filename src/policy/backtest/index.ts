/** Backtests: what a candidate policy would have decided of recorded actions. */
export { backtest } from './backtest.js';
export { CHANGE_KINDS, type ChangeKind } from './change.js';
export type { BacktestReport, BacktestSummary, DecisionChange, Exhausted, Money } from './report.js';
export { spentUnder } from './spent.js';
