/** The ledger: what must outlive any worker and any workflow history. */
export { Ledger } from './ledger.js';
export type { LedgerOptions } from './database.js';
export { undoes } from './freezes.js';
export * from './port.js';
export type { ArchivedAction, ArchivedStatus, ArchiveFilter, ArchivePage } from './archive-search.js';
export type { ArchivedDecision, ArchivedRecord, SettlingReceipt } from './archive.js';
export type { Dashboard, DayFigures, PolicyFigures, ToolFigures, WaitingFigures } from './dashboard.js';
export type {
  Ask,
  AskCount,
  AskedRole,
  AskedTimes,
  AskFilter,
  AskPage,
  Decided,
  DecidedRequest,
  ListedAsk,
  OpenAsk,
} from './asked.js';
export { DELIVERY_KINDS, type Delivery, type DeliveryKind, type DeliveryRequest } from './deliveries.js';
export type { Adding, Given, Signed } from './given.js';
export type { GivenDuty } from './duties.js';
export type { StandingApproval, StandingFor, StandingUse } from './standing.js';
export type { AddPasskey, RetirePasskey } from './passkeys.js';
