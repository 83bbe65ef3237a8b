/** A fresh namespace per test file, on the Temporal server of this run. */
import { openConnection } from '../../src/client/connection.js';
import { randomUUID } from 'node:crypto';

import { msToTs } from '@temporalio/common/lib/time.js';
import { inject } from 'vitest';
import { ensureSearchAttributes } from '../../src/client/search-attributes.js';

/** The shortest retention that the server takes. */
const RETENTION = '1 hour';

export interface TestNamespace {
  /** `host:port` of the server. */
  readonly address: string;
  readonly namespace: string;
}

/**
 * Registers a namespace with a name of its own, with Countersign's search attributes, and returns once workflows can start in
 * it. It goes with the server.
 */
export async function createNamespace(address = inject('temporalAddress')): Promise<TestNamespace> {
  const namespace = `test-${randomUUID()}`;
  const { connection, close } = await openConnection(address);
  try {
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: msToTs(RETENTION),
    });
    await ensureSearchAttributes(connection, namespace);
  } finally {
    await close();
  }
  return { address, namespace };
}
