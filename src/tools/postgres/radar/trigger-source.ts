/** The function that says in the log who runs a statement. Its exact source is how the tool knows its own triggers from others. */

/** The name of the trigger, on every table. */
export const RADAR_TRIGGER = 'countersign_radar';

const WHO = `'user', session_user, 'application', pg_catalog.current_setting('application_name')`;

/**
 * Nothing in it depends on a search path. The role is the one that logged in, whatever SET ROLE and SECURITY DEFINER say. What is published of
 * a partitioned table tells nothing of a partition that is truncated by itself.
 */
export const TRIGGER_SOURCE = `
BEGIN
  IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
    PERFORM pg_catalog.pg_logical_emit_message(true, 'countersign.radar', pg_catalog.json_build_object(${WHO},
      'truncated', pg_catalog.concat(TG_TABLE_SCHEMA, '.', TG_TABLE_NAME), 'oid', TG_RELID,
      'root', pg_catalog.pg_partition_root(TG_RELID)::pg_catalog.oid)::pg_catalog.text);
  ELSE
    PERFORM pg_catalog.pg_logical_emit_message(true, 'countersign.radar', pg_catalog.json_build_object(${WHO})::pg_catalog.text);
  END IF;
  RETURN NULL;
END`;

/** A condition of SQL: the trigger `g` is the radar's, which writes no table and decides nothing. */
export const IS_RADAR_TRIGGER = `EXISTS (SELECT FROM pg_proc f JOIN pg_language l ON l.oid = f.prolang
  WHERE f.oid = g.tgfoid AND l.lanname = 'plpgsql' AND f.prosrc = $radar$${TRIGGER_SOURCE}$radar$)`;
