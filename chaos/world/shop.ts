/** The shop's database, with an audit table of its own that triggers write and no agent's tool can touch: the journal of what really changed. */
import pg from 'pg';
import { ALL_SKUS } from '../plan.js';
import type { Effect } from '../evidence.js';

const TABLES = `
  CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
  CREATE TABLE orders    (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, reference text NOT NULL, sku text NOT NULL, qty int NOT NULL);
  CREATE TABLE stock     (sku text PRIMARY KEY, qty int NOT NULL CHECK (qty >= 0), touched_by text);
  CREATE TABLE sessions  (reference text NOT NULL, part int NOT NULL, PRIMARY KEY (reference, part));
`;

/** The function runs as its owner: who changes a row needs no right on the journal, and has none. */
const AUDIT = `
  CREATE SCHEMA audit;
  CREATE TABLE audit.changes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
                              tbl text NOT NULL, op text NOT NULL, old jsonb, new jsonb);
  CREATE FUNCTION audit.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
    BEGIN
      INSERT INTO audit.changes (tbl, op, old, new)
        VALUES (TG_TABLE_NAME, TG_OP, CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END, CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END);
      RETURN NULL;
    END $$;
  CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON customers FOR EACH ROW EXECUTE FUNCTION audit.note();
  CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON orders    FOR EACH ROW EXECUTE FUNCTION audit.note();
  CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON stock     FOR EACH ROW EXECUTE FUNCTION audit.note();
  CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON sessions  FOR EACH ROW EXECUTE FUNCTION audit.note();
`;

/** What the tool has to be told of it. */
export const SIDE_EFFECT_TABLES = ['audit.changes'] as const;

/** Builds the shop in an empty database. `role` is the tool's to be; `sessions`: the references of rows to remove. */
export async function buildShop(url: string, role: string, sessions: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const database = new URL(url).pathname.slice(1);
    await client.query(TABLES);
    await client.query(`INSERT INTO customers SELECT n, 'Customer ' || n FROM generate_series(1, 9) n`);
    await client.query('INSERT INTO stock (sku, qty) SELECT unnest($1::text[]), 1000000', [ALL_SKUS]);
    await client.query('INSERT INTO sessions SELECT unnest($1::text[]), part FROM (VALUES (1), (2)) v(part)', [
      sessions,
    ]);
    await client.query(AUDIT);
    await client.query(`GRANT CREATE ON DATABASE ${pg.escapeIdentifier(database)} TO ${pg.escapeIdentifier(role)};
      GRANT USAGE ON SCHEMA public TO ${pg.escapeIdentifier(role)};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${pg.escapeIdentifier(role)};
      ANALYZE`);
  } finally {
    await client.end();
  }
}

interface Change {
  readonly id: string;
  readonly at: Date;
  readonly tbl: string;
  readonly op: string;
  readonly old: Row | null;
  readonly new: Row | null;
}

type Row = Readonly<Record<string, string | number>>;

/** Every row that really changed, with the action whose name it bears. */
export async function shopEffects(url: string): Promise<readonly Effect[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<Change>('SELECT id, at, tbl, op, old, new FROM audit.changes ORDER BY id');
    return rows.map(effectOf);
  } finally {
    await client.end();
  }
}

function effectOf({ id, at, tbl, op, old, new: now }: Change): Effect {
  const common = { system: 'shop-db', at: at.toISOString(), amount: 1, where: `audit.changes ${id}` };
  if (tbl === 'orders' && op === 'INSERT') {
    return {
      ...common,
      what: 'order',
      actionId: text(now?.['reference']),
      content: { sku: text(now?.['sku']), qty: Number(now?.['qty']) },
    };
  }
  if (tbl === 'stock' && op === 'UPDATE') {
    const taken = Number(old?.['qty']) - Number(now?.['qty']);
    return {
      ...common,
      what: 'stock',
      actionId: text(now?.['touched_by']),
      content: { sku: text(now?.['sku']), taken },
    };
  }
  if (tbl === 'sessions' && op === 'DELETE') {
    return { ...common, what: 'remove', actionId: text(old?.['reference']), content: { part: Number(old?.['part']) } };
  }
  return { ...common, what: `${op} ${tbl}`, actionId: '', content: {} };
}

function text(value: string | number | undefined): string {
  return String(value ?? '');
}
