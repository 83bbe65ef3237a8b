/** The archive: every action, open or ended, and figures over them. */
export type { ArchivedRecord } from './archived-record.js';
export type { DecidedAction, DecidedFilter } from './decided.js';
export type { ArchivedAction, ArchiveFilter, ArchivePage } from './search.js';
export type { Dashboard, DayFigures } from './dashboard.js';
export type { NamedBundle, RuleFigures } from './policy-figures.js';
