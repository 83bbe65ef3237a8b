/** The queries on the catalog by which changes of definitions are seen. */
import { RADAR_TRIGGER } from './trigger-source.js';

/** The tables asked for, each with its partitions. */
const MEMBER = `member AS (
  SELECT r.oid AS root, t.relid::oid AS oid FROM unnest($1::oid[]) r(oid) CROSS JOIN LATERAL pg_partition_tree(r.oid) t
  UNION SELECT r.oid, r.oid FROM unnest($1::oid[]) r(oid)
)`;

/**
 * $1 numbers of tables, $2 those whose facts are wanted too. A fact is a sentence of what decides what a write does, or which writes there can be. What
 * is touched is in the digest alone: a column whose values are written anew by `ALTER COLUMN TYPE USING` may be defined as before.
 */
export const DEFINITIONS_SQL = `
WITH ${MEMBER}, one AS (
  SELECT m.root, CASE WHEN c.oid = m.root THEN '' ELSE format('%s: ', c.oid::regclass) END AS member, c.* FROM member m JOIN pg_class c ON c.oid = m.oid
), said AS (
  SELECT o.root, o.member || f.fact AS fact, f.touched FROM one o CROSS JOIN LATERAL (
    SELECT format('number %s', o.oid) AS fact, '' AS touched
    UNION ALL SELECT format('owner %s', pg_get_userbyid(o.relowner)), ''
    UNION ALL SELECT format('persistence %s, kind %s, replica identity %s', o.relpersistence, o.relkind, o.relreplident), ''
    UNION ALL SELECT format('row security %s, forced %s', o.relrowsecurity, o.relforcerowsecurity), ''
    UNION ALL SELECT format('partition %s', pg_get_expr(o.relpartbound, o.oid)), '' WHERE o.relispartition
    UNION ALL SELECT format('column %I %s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' not null' END,
        CASE WHEN a.attidentity <> '' THEN format(' identity %s', a.attidentity) WHEN a.attgenerated <> '' THEN format(' generated %s', a.attgenerated) END,
        ' default ' || pg_get_expr(d.adbin, d.adrelid)),
        format(' %s', a.xmin)
      FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT format('constraint %I %s', k.conname, pg_get_constraintdef(k.oid)), '' FROM pg_constraint k WHERE k.conrelid = o.oid
    UNION ALL SELECT format('trigger %I, enabled %s, %s, function %s', g.tgname, g.tgenabled, pg_get_triggerdef(g.oid),
        left(encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex'), 12)), ''
      FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid WHERE g.tgrelid = o.oid AND NOT g.tgisinternal AND g.tgname <> '${RADAR_TRIGGER}'
    UNION ALL SELECT format('%s checks of foreign keys are disabled', count(*)), '' FROM pg_trigger g
      WHERE g.tgrelid = o.oid AND g.tgisinternal AND g.tgenabled <> 'O' HAVING count(*) > 0
    UNION ALL SELECT format('rule %s, enabled %s', pg_get_ruledef(r.oid), r.ev_enabled), '' FROM pg_rewrite r WHERE r.ev_class = o.oid
    UNION ALL SELECT format('policy %I %s %s using %s check %s', y.polname, y.polcmd, y.polpermissive, pg_get_expr(y.polqual, o.oid), pg_get_expr(y.polwithcheck, o.oid)), ''
      FROM pg_policy y WHERE y.polrelid = o.oid
    UNION ALL SELECT format('inherits %s', h.inhparent::regclass), '' FROM pg_inherits h WHERE h.inhrelid = o.oid AND NOT o.relispartition
  ) f
)
SELECT root::text, encode(sha256(convert_to(string_agg(fact || touched, E'\\n' ORDER BY fact COLLATE "C"), 'UTF8')), 'hex'),
  CASE WHEN root = ANY ($2::oid[]) THEN json_agg(fact ORDER BY fact COLLATE "C")::text END
FROM said GROUP BY root`;

/** $1 numbers of tables, $2 publications, $3 the schema of the effects, $4 event triggers. One JSON text. */
export const SEALS_SQL = `
WITH ${MEMBER}
SELECT json_build_object(
  'snapshot', pg_current_snapshot(),
  'tables', (SELECT coalesce(json_object_agg(m.root, json_build_object(
      'triggers', (SELECT coalesce(json_object_agg(t.oid, coalesce((SELECT format('%s/%s/%s', g.oid, g.xmin, g.tgenabled) FROM pg_trigger g
          WHERE g.tgrelid = t.oid AND NOT g.tgisinternal AND g.tgname = '${RADAR_TRIGGER}'), '')), '{}') FROM member t WHERE t.root = m.root),
      'published', coalesce((SELECT string_agg(format('%s/%s/%s/%s', r.oid, r.xmin, p.oid, p.xmin), ',' ORDER BY p.pubname) FROM pg_publication_rel r
          JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = m.root AND p.pubname = ANY ($2::text[])), ''))), '{}')
    FROM member m WHERE m.oid = m.root),
  'function', coalesce((SELECT format('%s/%s', f.oid, f.xmin) FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
    WHERE n.nspname = $3 AND f.proname = 'note_writer' AND f.pronargs = 0), ''),
  'events', coalesce((SELECT string_agg(format('%s/%s/%s/%s', e.oid, e.xmin, e.evtenabled, f.xmin), ',' ORDER BY e.evtname) FROM pg_event_trigger e
    JOIN pg_proc f ON f.oid = e.evtfoid WHERE e.evtname = ANY ($4::text[])), ''))::text`;
