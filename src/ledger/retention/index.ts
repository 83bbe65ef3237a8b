export { RETENTION_KINDS, Retention, type RetentionKind } from './retention.js';
