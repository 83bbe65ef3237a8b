/** What really changed in a scratch database: every row, with the transaction and the role, in a schema that the tool's role cannot reach. */

/** The function runs as its owner: who changes a row needs no right on the journal, and has none. */
export const JOURNAL_SQL = `
  CREATE SCHEMA countersign_prove;
  CREATE TABLE countersign_prove.changes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, xid xid8 NOT NULL,
    role text NOT NULL, tbl text NOT NULL, op text NOT NULL);
  CREATE FUNCTION countersign_prove.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
    BEGIN
      INSERT INTO countersign_prove.changes (xid, role, tbl, op) VALUES (pg_current_xact_id(), session_user, TG_TABLE_NAME, TG_OP);
      RETURN NULL;
    END $$;
  CREATE FUNCTION countersign_prove.undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$`;

/** The table that the triggers write. */
export const JOURNAL_TABLE = 'countersign_prove.changes';

export function journalTrigger(table: string): string {
  return `CREATE TRIGGER countersign_prove_journal AFTER INSERT OR UPDATE OR DELETE ON ${table}
    FOR EACH ROW EXECUTE FUNCTION countersign_prove.note()`;
}

/** A system that takes every update and silently keeps what it had. */
export function lyingTrigger(table: string): { readonly begin: string; readonly end: string } {
  return {
    begin: `CREATE TRIGGER zz_countersign_prove_undo BEFORE UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION countersign_prove.undo()`,
    end: `DROP TRIGGER zz_countersign_prove_undo ON ${table}`,
  };
}
