/** Decides which functions, operators, casts and types of this database a statement may use: those known to be free of effects. */
import type { FunctionUse, QualifiedName, Uses } from './uses.js';
import { configInvalid } from '../../action/errors-config.js';
import { words } from './grammar.js';
import { refuseStatement } from './parser.js';
import { FIRST_USER_OID } from './values.js';

export interface AllowedFunctions {
  /** Functions of pg_catalog whose overloads are all immutable. */
  readonly immutable: ReadonlySet<string>;
  /** Other functions of pg_catalog that can be called with one argument, as `argument.name` does. */
  readonly callableAsAttribute: ReadonlySet<string>;
  /** Functions of the configured schema. */
  readonly own: ReadonlySet<string>;
  /** Functions, as `schema.name`, of trusted extensions that declare all their overloads immutable or stable. */
  readonly ofExtensions: ReadonlySet<string>;
  /** Operators of the configured schema whose function is not built in C and free of effects. */
  readonly riskyOperators: ReadonlySet<string>;
  /** Types of the configured schema. */
  readonly types: ReadonlyMap<string, number>;
  /** Types that a function of the database casts from or to, and all types that contain one. */
  readonly castTypes: ReadonlySet<number>;
  /** Domains that a function of the database checks, and all types that contain one. */
  readonly checkedTypes: ReadonlySet<number>;
  /** Whether a function of the database casts between two built-in types, so that it could run anywhere. */
  readonly castsEverywhere: boolean;
}

/**
 * Returns one JSON text. $1 is the configured schema, $2 the trusted extensions. A name counts as an extension's only when every overload of
 * it is, because the server may choose any of them; an aggregate is as volatile as the functions that it calls. Only a superuser can create a function in C, so these are trusted like pg_catalog.
 * Other functions are only as harmless as their author claims.
 */
export const ALLOWED_FUNCTIONS_SQL = `
WITH RECURSIVE trusted AS (
  SELECT p.oid FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
  WHERE p.pronamespace = 'pg_catalog'::regnamespace OR (l.lanname IN ('c', 'internal') AND p.provolatile IN ('i', 's'))
), own AS (SELECT oid FROM pg_namespace WHERE nspname = $1),
casts AS (SELECT castsource, casttarget FROM pg_cast WHERE castfunc <> 0 AND castfunc NOT IN (SELECT oid FROM trusted)),
danger (why, oid) AS (
  SELECT 'cast', u.oid FROM casts, unnest(ARRAY[castsource, casttarget]) AS u (oid) WHERE u.oid >= ${FIRST_USER_OID}
  UNION SELECT 'check', k.contypid FROM pg_constraint k JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = k.oid
    AND d.refclassid = 'pg_proc'::regclass WHERE k.contypid <> 0
  UNION SELECT d.why, t.oid FROM danger d JOIN pg_type t ON t.typelem = d.oid OR t.typbasetype = d.oid
    OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.atttypid = d.oid AND a.attnum > 0 AND NOT a.attisdropped)
    OR EXISTS (SELECT FROM pg_range r WHERE r.rngsubtype = d.oid AND t.oid IN (r.rngtypid, r.rngmultitypid))
)
SELECT pg_catalog.json_build_object(
  'immutable', (SELECT pg_catalog.json_agg(name) FROM (SELECT proname AS name FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
    GROUP BY proname HAVING bool_and(provolatile = 'i')) f),
  'attributes', (SELECT pg_catalog.json_agg(DISTINCT proname) FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND provolatile <> 'i'
    AND pronargs > 0 AND pronargs - pronargdefaults <= 1 AND proargtypes[0] <> 'internal'::regtype),
  'own', (SELECT coalesce(pg_catalog.json_agg(DISTINCT proname), '[]') FROM pg_proc WHERE pronamespace IN (SELECT oid FROM own)),
  'extensions', (SELECT coalesce(pg_catalog.json_agg(name), '[]') FROM (
    SELECT n.nspname || '.' || p.proname AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.pronamespace <> 'pg_catalog'::regnamespace AND NOT EXISTS (SELECT FROM pg_proc c
      WHERE c.pronamespace = 'pg_catalog'::regnamespace AND c.proname = p.proname AND c.provolatile <> 'i')
    GROUP BY n.nspname, p.proname
    HAVING bool_and(p.provolatile IN ('i', 's') AND p.prokind <> 'p'
      AND EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
          AND e.extname = ANY ($2::text[]))
      AND NOT EXISTS (SELECT FROM pg_aggregate a JOIN pg_proc f ON f.oid IN (aggtransfn, aggfinalfn, aggcombinefn, aggserialfn,
        aggdeserialfn, aggmtransfn, aggminvtransfn, aggmfinalfn) WHERE a.aggfnoid = p.oid AND f.provolatile = 'v'))) f),
  'operators', (SELECT coalesce(pg_catalog.json_agg(DISTINCT oprname), '[]') FROM pg_operator
    WHERE oprnamespace IN (SELECT oid FROM own) AND oprcode NOT IN (SELECT oid FROM trusted)),
  'types', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(typname, oid)), '[]') FROM pg_type WHERE typnamespace IN (SELECT oid FROM own)),
  'casts', (SELECT coalesce(pg_catalog.json_agg(oid), '[]') FROM danger WHERE why = 'cast'),
  'checked', (SELECT coalesce(pg_catalog.json_agg(oid), '[]') FROM danger WHERE why = 'check'),
  'everywhere', EXISTS (SELECT FROM casts WHERE castsource < ${FIRST_USER_OID} AND casttarget < ${FIRST_USER_OID})
)::text`;

/** An oid. The server prints it as a number or as a text. */
type Oid = number | string;

export function allowedFunctionsFrom(text: string | null): AllowedFunctions {
  const row = JSON.parse(text ?? '{}') as {
    immutable: string[];
    attributes: string[];
    own: string[];
    extensions: string[];
    operators: string[];
    types: [string, Oid][];
    casts: Oid[];
    checked: Oid[];
    everywhere: boolean;
  };
  return {
    immutable: new Set(row.immutable),
    callableAsAttribute: new Set(row.attributes),
    own: new Set(row.own),
    ofExtensions: new Set(row.extensions),
    riskyOperators: new Set(row.operators),
    types: new Map(row.types.map(([name, oid]) => [name, Number(oid)])),
    castTypes: new Set(row.casts.map(Number)),
    checkedTypes: new Set(row.checked.map(Number)),
    castsEverywhere: row.everywhere,
  };
}

/** Functions of pg_catalog that change nothing but are not immutable: they depend on a setting, a time zone, the transaction's time or the server. */
const STABLE = words(`
  now transaction_timestamp statement_timestamp age date date_part date_trunc date_add date_subtract extract
  timezone timestamp timestamptz time timetz overlaps make_timestamptz to_char to_date to_number to_timestamp
  numeric money concat concat_ws format length quote_literal quote_nullable convert convert_from convert_to
  generate_series array_to_string to_json to_jsonb row_to_json array_to_json json_agg json_agg_strict jsonb_agg
  jsonb_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict
  jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict json_build_array
  json_build_object jsonb_build_array jsonb_build_object json_populate_record json_populate_recordset
  jsonb_populate_record jsonb_populate_recordset json_to_record json_to_recordset jsonb_to_record
  jsonb_to_recordset jsonb_path_exists_tz jsonb_path_match_tz jsonb_path_query_tz jsonb_path_query_array_tz
  jsonb_path_query_first_tz enum_first enum_last enum_range pg_typeof to_tsvector to_tsquery plainto_tsquery
  phraseto_tsquery websearch_to_tsquery ts_headline version
`);

/** Functions that return another value each time. They may set a column, but must not select rows. */
export const FRESH = words(`random random_normal gen_random_uuid uuidv4 uuidv7 clock_timestamp`);

/** Operators that are called implicitly: by IN, BETWEEN, LIKE, CASE, NULLIF, JOIN USING, DISTINCT and ORDER BY. */
const SILENT_OPERATORS = ['=', '<>', '<', '<=', '>', '>=', '~~', '!~~'];

export interface TrustedFunctions {
  readonly schema: string;
  /** Functions that the operator declares free of effects. */
  readonly readOnlyFunctions: ReadonlySet<string>;
  /** Extensions whose word the operator takes for what their functions do. */
  readonly trustedExtensions: readonly string[];
}

/** Extensions with functions that run a query given as text, and call themselves stable. */
const RUN_QUERIES = words(`tablefunc xml2`);

/** @throws CountersignError CONFIG_INVALID */
export function checkTrustedExtensions(extensions: readonly string[], tool: string): void {
  const runs = extensions.find((name) => RUN_QUERIES.has(name));
  if (runs === undefined) return;
  throw configInvalid(
    'trustedExtensions',
    `without ${runs}, whose functions run any query that they are given`,
    `the tool ${tool}`,
  );
}

/**
 * Refuses a statement that uses anything not known to be free of effects.
 *
 * @throws CountersignError STATEMENT_REFUSED
 */
export function checkAllowedFunctions(
  uses: Uses,
  allowed: AllowedFunctions,
  trusted: TrustedFunctions,
  columnTypes: readonly number[],
): void {
  for (const use of uses.functions) checkFunction(use, allowed, trusted);
  for (const operator of [...uses.operators, ...SILENT_OPERATORS.map((name) => ({ name }))]) {
    checkOperator(operator, allowed, trusted);
  }
  // The name of a type can be used as a function: `mood('good')`.
  const asCalls = uses.functions.filter((use) => use.maybeCast && allowed.types.has(use.name));
  for (const type of [...uses.types, ...asCalls]) checkType(type, allowed, trusted);
  if (allowed.castsEverywhere || columnTypes.some((oid) => allowed.castTypes.has(oid))) {
    throw refuseStatement(
      'A value of the statement may be cast by a function of this database, which might do anything.',
    );
  }
}

function checkFunction(
  use: FunctionUse,
  allowed: AllowedFunctions,
  { schema, readOnlyFunctions }: TrustedFunctions,
): void {
  const { name } = use;
  if (use.schema !== undefined && use.schema !== 'pg_catalog') {
    if (allowed.ofExtensions.has(`${use.schema}.${name}`)) return;
    if (readOnlyFunctions.has(`${use.schema}.${name}`) || (use.schema === schema && readOnlyFunctions.has(name)))
      return;
    throw refuseFunction(`${use.schema}.${name}`);
  }
  // A function of the configured schema may be chosen over a built-in one of the same name, when it fits the arguments better.
  if (use.schema === undefined && allowed.own.has(name)) {
    if (allowed.ofExtensions.has(`${schema}.${name}`)) return;
    if (readOnlyFunctions.has(name) || readOnlyFunctions.has(`${schema}.${name}`)) return;
    throw refuseFunction(name, use.attribute);
  }
  if (use.attribute && !allowed.callableAsAttribute.has(name)) return;
  if (allowed.immutable.has(name) || STABLE.has(name)) return;
  if (FRESH.has(name)) {
    if (use.place === 'value') return;
    throw refuseStatement(
      `${name}() gives another value each time, so the preview would not be what is executed.`,
      `${name}() only as the value that a column is set to`,
    );
  }
  // A cast written as a call is checked with the types.
  if (use.maybeCast && !use.attribute && allowed.types.has(name)) return;
  throw refuseFunction(name, use.attribute);
}

function refuseFunction(name: string, attribute = false): Error {
  return refuseStatement(
    attribute
      ? `.${name} may call the function ${name}, which is not known to be free of effects.`
      : `The function ${name} is not known to be free of effects.`,
    "the server's own functions that change nothing, those of trustedExtensions that say so, or those in readOnlyFunctions",
    attribute
      ? 'Name the column without its table, or ask the operator to list the function in readOnlyFunctions.'
      : 'Leave the function out, or ask the operator to list it in readOnlyFunctions, or its extension in trustedExtensions.',
  );
}

function checkOperator(operator: QualifiedName, allowed: AllowedFunctions, { schema }: TrustedFunctions): void {
  const elsewhere = operator.schema !== undefined && operator.schema !== 'pg_catalog' && operator.schema !== schema;
  if (!elsewhere && (operator.schema === 'pg_catalog' || !allowed.riskyOperators.has(operator.name))) return;
  throw refuseStatement(`The operator ${operator.name} runs a function of this database, which might do anything.`);
}

function checkType(type: QualifiedName, allowed: AllowedFunctions, { schema }: TrustedFunctions): void {
  if (type.schema === 'pg_catalog') return;
  if (type.schema !== undefined && type.schema !== schema) {
    throw refuseStatement(`The type ${type.schema}.${type.name} is outside the configured schema.`);
  }
  const oid = allowed.types.get(type.name);
  if (oid === undefined || !(allowed.castTypes.has(oid) || allowed.checkedTypes.has(oid))) return;
  throw refuseStatement(`A value of the type ${type.name} runs a function of this database, which might do anything.`);
}
