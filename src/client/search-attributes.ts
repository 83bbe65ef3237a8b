/** Makes sure that a namespace knows the search attributes by which actions are found. */
import type { Connection } from '@temporalio/client';
import { SearchAttributeType } from '@temporalio/common';
import { setTimeout as delay } from 'node:timers/promises';
import { asCountersignError, CountersignError } from '../action/errors.js';
import { ATTRIBUTES } from '../temporal.js';

/** Name and type of each, as `--search-attribute` of the Temporal CLI spells types. */
export const SEARCH_ATTRIBUTES: Readonly<Record<string, 'Keyword' | 'Int'>> = Object.fromEntries(
  Object.values(ATTRIBUTES).map(({ name, type }) => [name, type === SearchAttributeType.INT ? 'Int' : 'Keyword']),
);

/** `temporal.api.enums.v1.IndexedValueType`. */
const TYPES = { Keyword: 2, Int: 3 } as const;

/** How long a server may take to let a new attribute be used, milliseconds. Servers reread namespaces every 2 to 10 s. */
const PROPAGATION_MS = 60_000;

/**
 * Registers what is missing of `SEARCH_ATTRIBUTES` in the namespace, and returns once queries may name it. Safe to call on every start.
 *
 * @throws CountersignError TEMPORAL_UNAVAILABLE when the server refuses; CONFIG_INVALID when one exists with another type
 */
export async function ensureSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    const missing: Record<string, 2 | 3> = {};
    for (const [name, type] of Object.entries(SEARCH_ATTRIBUTES)) {
      const registered = customAttributes?.[name] as number | undefined;
      if (registered === undefined) missing[name] = TYPES[type];
      else if (registered !== TYPES[type]) throw otherType(namespace, name, type);
    }
    if (Object.keys(missing).length === 0) return;
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes: missing });
    await untilQueryable(connection, namespace);
  } catch (error) {
    throw asCountersignError(error, 'TEMPORAL_UNAVAILABLE');
  }
}

function otherType(namespace: string, name: string, type: string): CountersignError {
  return new CountersignError(
    'CONFIG_INVALID',
    `Namespace ${namespace} has ${name} as a search attribute of another type.`,
    {
      field: name,
      expected: type,
      fix: `temporal operator search-attribute remove --namespace ${namespace} --name ${name}`,
    },
  );
}

async function untilQueryable(connection: Connection, namespace: string): Promise<void> {
  const query = Object.keys(SEARCH_ATTRIBUTES)
    .map((name) => `${name} IS NOT NULL`)
    .join(' AND ');
  const deadline = Date.now() + PROPAGATION_MS;
  for (;;) {
    try {
      await connection.workflowService.countWorkflowExecutions({ namespace, query });
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await delay(50);
    }
  }
}
