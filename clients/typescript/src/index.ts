/** `countersign-client`: what agent code imports. */
export { Countersign } from './client.js';
export { CLIENT_CODES, CountersignError, type CountersignErrorOptions } from './errors.js';
export type { ClientOptions } from './settings.js';
export { forModel, type ToolAnswer } from './for-model.js';
export type * from './types.js';
