/** The function that says in the log who runs a statement. Its exact source is how the tool knows its own triggers from others. */

/** Nothing in it depends on a search path. The role is the one that logged in, whatever SET ROLE and SECURITY DEFINER say. */
export const TRIGGER_SOURCE = `
BEGIN
  PERFORM pg_catalog.pg_logical_emit_message(true, 'countersign.radar', pg_catalog.json_build_object(
    'user', session_user, 'application', pg_catalog.current_setting('application_name'))::pg_catalog.text);
  RETURN NULL;
END`;

/** A condition of SQL: the trigger `g` is the radar's, which writes no table and decides nothing. */
export const IS_RADAR_TRIGGER = `EXISTS (SELECT FROM pg_proc f JOIN pg_language l ON l.oid = f.prolang
  WHERE f.oid = g.tgfoid AND l.lanname = 'plpgsql' AND f.prosrc = $radar$${TRIGGER_SOURCE}$radar$)`;
