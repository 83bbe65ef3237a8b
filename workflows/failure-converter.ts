/** How failures leave workflow code: where payloads are encrypted, with message and stack trace where the codec encrypts them. */
import { DefaultFailureConverter } from '@temporalio/common';

/** A worker that encrypts replaces it (src/worker/bundle.ts): workflow code has no environment to ask. It changes no command. */
const FAILURES: string = 'countersign-failures:plain';

export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: FAILURES.endsWith('encoded') });
