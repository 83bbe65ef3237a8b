export { RETENTION_KINDS, Retention, type PurgeRequest, type RetentionKind } from './retention.js';
