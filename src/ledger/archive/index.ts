/** The archive: every action, open or ended, and figures over them. */
export { Archive, type ArchivedDecision, type ArchivedRecord, type SettlingReceipt } from './archive.js';
export type { ArchivedAction, ArchivedStatus, ArchiveFilter, ArchivePage } from './search.js';
export type { Dashboard, DayFigures, PolicyFigures, ToolFigures, WaitingFigures } from './dashboard.js';
