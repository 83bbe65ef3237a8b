/** Backtests: what a candidate policy would have decided of recorded actions. */
export { backtest, type BacktestOptions } from './backtest.js';
export { CHANGE_KINDS, type ChangeKind } from './change.js';
export type { BacktestReport, BacktestSummary, Change, Exhausted, Group, Money } from './report.js';
