/** Actions: one row for each action id, from its admission to its outcome, for good. */
export { Actions, OPEN_ACTIONS_PAGE, type EndedAction, type LedgerAction, type OpenAction } from './actions.js';
export type { Admission, AdmitRequest } from './admission.js';
export type { ActionStanding } from './standing.js';
