/** The function that says in the log who changes a definition. Event triggers call it, which only a superuser can make. */

const SAY = `PERFORM pg_logical_emit_message(true, 'countersign.radar.ddl', json_build_object(
      'user', session_user, 'application', current_setting('application_name'), 'tag', c.tag, 'type', c.type,
      'identity', left(c.identity, 300), 'relation', c.relation, 'root', pg_partition_root(c.relation::regclass)::oid)::text);`;

/** It runs with the search path that DEFINITION_CONFIG fixes. A table that is gone has its number still, what hung on it is found by name. */
export const DEFINITION_SOURCE = `
DECLARE
  c record;
BEGIN
  IF tg_event = 'sql_drop' THEN
    FOR c IN
      SELECT tg_tag AS tag, d.object_type AS type, d.object_identity AS identity,
        CASE WHEN d.classid = 'pg_class'::regclass THEN d.objid WHEN d.object_type IN ('trigger', 'rule', 'policy')
          THEN to_regclass(format('%I.%I', d.address_names[1], d.address_names[2]))::oid END AS relation
      FROM pg_event_trigger_dropped_objects() d
      WHERE NOT d.is_temporary AND d.object_type IN ('table', 'table column', 'trigger', 'rule', 'policy', 'publication', 'publication relation', 'function')
        AND NOT (tg_tag = 'ALTER TABLE' AND d.object_type = 'table column')
    LOOP
      ${SAY}
    END LOOP;
  ELSE
    FOR c IN
      SELECT d.command_tag AS tag, d.object_type AS type, d.object_identity AS identity,
        CASE d.classid WHEN 'pg_class'::regclass THEN d.objid
          WHEN 'pg_trigger'::regclass THEN (SELECT tgrelid FROM pg_trigger WHERE oid = d.objid)
          WHEN 'pg_rewrite'::regclass THEN (SELECT ev_class FROM pg_rewrite WHERE oid = d.objid)
          WHEN 'pg_policy'::regclass THEN (SELECT polrelid FROM pg_policy WHERE oid = d.objid)
          WHEN 'pg_publication_rel'::regclass THEN (SELECT prrelid FROM pg_publication_rel WHERE oid = d.objid) END AS relation
      FROM pg_event_trigger_ddl_commands() d
      WHERE d.schema_name IS DISTINCT FROM 'pg_temp'
    LOOP
      ${SAY}
    END LOOP;
  END IF;
END`;

/** What is left out concerns no table, or only how it is found and who may read it. */
const TAGS = [
  'ALTER TABLE',
  'CREATE TABLE',
  'CREATE TRIGGER',
  'ALTER TRIGGER',
  'CREATE RULE',
  'ALTER RULE',
  'CREATE POLICY',
  'ALTER POLICY',
  'CREATE PUBLICATION',
  'ALTER PUBLICATION',
  'CREATE FUNCTION',
  'ALTER FUNCTION',
];

/** Their names, for the whole database. */
export const EVENT_TRIGGERS = { ddl: 'countersign_radar_ddl', drop: 'countersign_radar_drop' } as const;

/** ALWAYS: also for a session that plays the part of a replica. `called`: the function, as it stands in SQL. */
export function eventTriggerStatements(called: string): readonly string[] {
  const { ddl, drop } = EVENT_TRIGGERS;
  const tags = TAGS.map((tag) => `'${tag}'`).join(', ');
  return [
    `DROP EVENT TRIGGER IF EXISTS ${ddl}`,
    `DROP EVENT TRIGGER IF EXISTS ${drop}`,
    // One that somebody else has made would stay theirs, and run as whoever changes a definition.
    `DROP FUNCTION IF EXISTS ${called}() CASCADE`,
    `CREATE FUNCTION ${called}() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $radar$${DEFINITION_SOURCE}$radar$`,
    `CREATE EVENT TRIGGER ${ddl} ON ddl_command_end WHEN TAG IN (${tags}) EXECUTE FUNCTION ${called}()`,
    `CREATE EVENT TRIGGER ${drop} ON sql_drop EXECUTE FUNCTION ${called}()`,
    `ALTER EVENT TRIGGER ${ddl} ENABLE ALWAYS`,
    `ALTER EVENT TRIGGER ${drop} ENABLE ALWAYS`,
  ];
}
