/** Everything that the scratch world has written anywhere: histories as they can be read, each row of the ledger, and the log. */
import pg from 'pg';
import type { Payload } from '@temporalio/common';
import type { World } from './world.js';

export interface WrittenText {
  /** For people: `the ledger's table actions`. */
  readonly name: string;
  readonly text: string;
}

/** Rows of one table at once. */
const PAGE = 500;

export async function* everywhere(
  world: World,
  { histories = true }: { readonly histories?: boolean } = {},
): AsyncGenerator<WrittenText> {
  if (histories) yield* historiesOf(world);
  yield* ledgerOf(world);
  yield { name: 'the log of the workers', text: world.parts.log.text() };
}

async function* historiesOf(world: World): AsyncGenerator<WrittenText> {
  const { codec } = world.parts.encryption;
  for await (const { workflowId, runId } of world.client.temporal.workflow.list()) {
    const { events } = await world.client.temporal.workflow.getHandle(workflowId, runId).fetchHistory();
    const clear = await codec.decode(payloadsIn(events).map((payload) => payload));
    const texts = clear.map(({ data }) => Buffer.from(data ?? []).toString('utf8'));
    yield { name: 'histories of Temporal', text: [JSON.stringify(events), ...texts].join('\n') };
  }
}

/** Payloads wherever they stand in events. */
function payloadsIn(value: unknown, found: Payload[] = []): Payload[] {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return found;
  const { metadata, data } = value as Payload;
  if (metadata !== undefined && metadata !== null && data instanceof Uint8Array) found.push(value);
  else for (const item of Object.values(value)) payloadsIn(item, found);
  return found;
}

async function* ledgerOf({ parts }: World): AsyncGenerator<WrittenText> {
  const client = new pg.Client({ connectionString: parts.ledgerUrl });
  await client.connect();
  try {
    const { rows: tables } = await client.query<{ name: string; sql: string }>(
      `SELECT c.relname AS name, c.oid::regclass::text AS sql FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`,
    );
    for (const { name, sql } of tables) {
      const { rows } = await client.query<{ text: string }>(`SELECT to_json(t)::text AS text FROM ${sql} t`);
      for (let at = 0; at < rows.length; at += PAGE) {
        const text = rows.slice(at, at + PAGE).map((row) => row.text);
        yield { name: `the ledger's table ${name}`, text: text.join('\n') };
      }
    }
  } finally {
    await client.end();
  }
}
