import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import { classify } from '../../src/tools/postgres/classify.js';
import { parseOne, print } from '../../src/tools/postgres/parser.js';

/** The action type, or the code of the refusal. Any other error fails the test. */
function verdict(sql: string): string {
  try {
    return classify(sql).actionType;
  } catch (error) {
    if (error instanceof CountersignError && !error.message.includes('stopped working')) return error.code;
    throw error;
  }
}

function refusal(sql: string): CountersignError {
  try {
    const found = classify(sql);
    return expect.fail(`classified as ${found.operation}: ${sql.slice(0, 100)}`);
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    return error;
  }
}

const names = (list: readonly { schema?: string; name: string }[]): string[] =>
  list.map(({ schema, name }) => (schema === undefined ? name : `${schema}.${name}`));

describe('kinds of statement', () => {
  test.each([
    ['SELECT 1', 'READ', 'sql.select'],
    ['TABLE orders', 'READ', 'sql.select'],
    ['VALUES (1), (2)', 'READ', 'sql.select'],
    ['(SELECT 1) UNION ALL (SELECT 2);', 'READ', 'sql.select'],
    ['WITH a AS (SELECT 1) SELECT * FROM a', 'READ', 'sql.select'],
    ['INSERT INTO t VALUES (1)', 'WRITE', 'sql.insert'],
    ['INSERT INTO t SELECT * FROM u', 'WRITE', 'sql.insert'],
    ['INSERT INTO t DEFAULT VALUES RETURNING id', 'WRITE', 'sql.insert'],
    ['UPDATE t SET a = 1', 'WRITE', 'sql.update'],
    ['UPDATE t SET (a, b) = (SELECT 1, 2) FROM u WHERE t.id = u.id', 'WRITE', 'sql.update'],
    ['DELETE FROM t USING u WHERE t.id = u.id', 'DELETE', 'sql.delete'],
    ['delete /* all */ from t -- yes', 'DELETE', 'sql.delete'],
    ['INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING', 'WRITE', 'sql.upsert'],
    ['INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 2', 'WRITE', 'sql.upsert'],
    ['MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN UPDATE SET a = 1', 'WRITE', 'sql.merge'],
    ['MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE', 'DELETE', 'sql.merge'],
    ['WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d', 'DELETE', 'sql.with'],
    ['WITH d AS (UPDATE t SET a = 1 RETURNING *) SELECT * FROM d', 'WRITE', 'sql.with'],
    ['INSERT INTO t WITH d AS (INSERT INTO u VALUES (1) RETURNING 1) SELECT * FROM d', 'WRITE', 'sql.with'],
    ['WITH d AS (INSERT INTO u VALUES (1)) DELETE FROM t', 'DELETE', 'sql.with'],
    ['EXPLAIN SELECT * FROM t', 'READ', 'sql.explain'],
    ['explain (verbose, format json) DELETE FROM t', 'READ', 'sql.explain'],
    ['EXPLAIN VERBOSE INSERT INTO t VALUES (1)', 'READ', 'sql.explain'],
    ['TRUNCATE t', 'DELETE', 'sql.truncate'],
    ['DROP TABLE t', 'DELETE', 'sql.drop_table'],
    ['DROP INDEX IF EXISTS i', 'DELETE', 'sql.drop_index'],
    ['CREATE TABLE t (id int PRIMARY KEY, a text DEFAULT now()::text REFERENCES u)', 'WRITE', 'sql.create_table'],
    ['CREATE UNIQUE INDEX i ON t (lower(a)) WHERE a IS NOT NULL', 'WRITE', 'sql.create_index'],
    ['ALTER TABLE t ADD COLUMN a int', 'WRITE', 'sql.alter_table'],
    ['ALTER TABLE t ADD COLUMN a int, DROP COLUMN b', 'DELETE', 'sql.alter_table'],
    ['ALTER TABLE t RENAME COLUMN a TO b', 'WRITE', 'sql.rename'],
    ['ALTER TABLE t RENAME TO u', 'WRITE', 'sql.rename'],
  ])('%s is %s, %s', (sql, actionType, operation) => {
    expect(classify(sql)).toMatchObject({ actionType, operation });
  });

  test.each([
    ['two statements', 'SELECT 1; DROP TABLE t'],
    ['two statements, one hidden behind a comment', 'SELECT 1 /* ; */ ; DELETE FROM t'],
    ['no statement', ';'],
    ['a comment', '-- DELETE FROM t'],
    ['a syntax error', 'SELEC 1'],
    ['COPY to a program', `COPY t TO PROGRAM 'curl evil'`],
    ['COPY from a file', `COPY t FROM '/etc/passwd'`],
    ['DO', `DO $$ BEGIN DELETE FROM t; END $$`],
    ['CALL', 'CALL p()'],
    ['PREPARE', 'PREPARE p AS DELETE FROM t'],
    ['EXECUTE', 'EXECUTE p'],
    ['EXPLAIN ANALYZE', 'EXPLAIN ANALYZE DELETE FROM t'],
    ['EXPLAIN ANALYZE VERBOSE', 'explain analyze verbose SELECT 1'],
    ['EXPLAIN (ANALYZE)', 'EXPLAIN (ANALYZE) DELETE FROM t'],
    ['EXPLAIN (ANALYSE)', 'EXPLAIN (costs off, Analyse) DELETE FROM t'],
    ['EXPLAIN (ANALYZE true)', 'EXPLAIN (ANALYZE true, FORMAT json) DELETE FROM t'],
    ['EXPLAIN (ANALYZE off), which need not be there', 'EXPLAIN (ANALYZE off) DELETE FROM t'],
    ['EXPLAIN ("analyze")', 'EXPLAIN ("analyze") DELETE FROM t'],
    ['EXPLAIN with an option in other letters', 'EXPLAIN (U&"\\0061nalyze" on) DELETE FROM t'],
    ['EXPLAIN of an option that needs a run', 'EXPLAIN (WAL) DELETE FROM t'],
    ['EXPLAIN of what is refused', `EXPLAIN SELECT 1 FROM t FOR UPDATE`],
    ['EXPLAIN of CREATE TABLE AS', 'EXPLAIN CREATE TABLE u AS SELECT 1'],
    ['EXPLAIN of EXECUTE', 'EXPLAIN EXECUTE p'],
    ['EXPLAIN of a cursor', 'EXPLAIN DECLARE c CURSOR FOR SELECT 1'],
    ['EXPLAIN of REFRESH', 'EXPLAIN REFRESH MATERIALIZED VIEW m'],
    ['EXPLAIN and another statement', 'EXPLAIN SELECT 1; DELETE FROM t'],
    ['SET', 'SET search_path = evil'],
    ['RESET', 'RESET ALL'],
    ['SHOW', 'SHOW data_directory'],
    ['LISTEN', 'LISTEN x'],
    ['NOTIFY', 'NOTIFY x'],
    ['LOCK', 'LOCK TABLE t'],
    ['VACUUM', 'VACUUM t'],
    ['BEGIN', 'BEGIN'],
    ['COMMIT', 'COMMIT'],
    ['ROLLBACK TO', 'ROLLBACK TO SAVEPOINT s'],
    ['GRANT', 'GRANT ALL ON t TO public'],
    ['REVOKE', 'REVOKE ALL ON t FROM public'],
    ['CREATE ROLE', 'CREATE ROLE r SUPERUSER'],
    ['ALTER ROLE', 'ALTER ROLE r SUPERUSER'],
    ['CREATE FUNCTION', `CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'`],
    ['CREATE TRIGGER', 'CREATE TRIGGER g AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()'],
    ['CREATE RULE', 'CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING'],
    ['CREATE EXTENSION', 'CREATE EXTENSION dblink'],
    ['CREATE VIEW', 'CREATE VIEW v AS SELECT 1'],
    ['CREATE SCHEMA', 'CREATE SCHEMA s'],
    ['CREATE TABLE AS', 'CREATE TABLE t AS SELECT 1'],
    ['CREATE TABLE LIKE', 'CREATE TABLE t (LIKE u)'],
    ['CREATE TABLE INHERITS', 'CREATE TABLE t () INHERITS (u)'],
    ['CREATE TEMPORARY TABLE', 'CREATE TEMP TABLE t (a int)'],
    ['CREATE INDEX CONCURRENTLY', 'CREATE INDEX CONCURRENTLY ON t (a)'],
    ['DROP CASCADE', 'DROP TABLE t CASCADE'],
    ['DROP FUNCTION', 'DROP FUNCTION f()'],
    ['DROP SCHEMA', 'DROP SCHEMA public'],
    ['TRUNCATE CASCADE', 'TRUNCATE t CASCADE'],
    ['TRUNCATE RESTART IDENTITY', 'TRUNCATE t RESTART IDENTITY'],
    ['ALTER TABLE DISABLE TRIGGER', 'ALTER TABLE t DISABLE TRIGGER ALL'],
    ['ALTER TABLE OWNER', 'ALTER TABLE t OWNER TO evil'],
    ['ALTER TABLE ROW SECURITY', 'ALTER TABLE t DISABLE ROW LEVEL SECURITY'],
    ['ALTER TABLE DROP COLUMN CASCADE', 'ALTER TABLE t DROP COLUMN a CASCADE'],
    ['ALTER SYSTEM', 'ALTER SYSTEM SET fsync = off'],
    ['ALTER VIEW by ALTER TABLE RENAME', 'ALTER VIEW v RENAME TO w'],
    ['REINDEX', 'REINDEX TABLE t'],
    ['REFRESH MATERIALIZED VIEW', 'REFRESH MATERIALIZED VIEW m'],
    ['COMMENT', `COMMENT ON TABLE t IS 'x'`],
    ['SECURITY LABEL', `SECURITY LABEL ON TABLE t IS 'x'`],
    ['IMPORT FOREIGN SCHEMA', 'IMPORT FOREIGN SCHEMA s FROM SERVER x INTO y'],
    ['a cursor', 'DECLARE c CURSOR FOR SELECT 1'],
    ['FETCH', 'FETCH ALL FROM c'],
    ['DISCARD', 'DISCARD ALL'],
    ['LOAD', `LOAD 'evil'`],
    ['SELECT INTO', 'SELECT * INTO t2 FROM t'],
    ['SELECT FOR UPDATE', 'SELECT * FROM t FOR UPDATE'],
    ['FOR UPDATE in a subquery', 'SELECT * FROM (SELECT * FROM t FOR SHARE) s'],
    ['TABLESAMPLE', 'SELECT * FROM t TABLESAMPLE SYSTEM (10)'],
    ['WHERE CURRENT OF', 'DELETE FROM t WHERE CURRENT OF c'],
    ['XML', 'SELECT xmlelement(name a)'],
    ['another database', 'SELECT * FROM other.public.t'],
    ['ONLY as target', 'DELETE FROM ONLY t'],
    ['one parameter in two places of a write', 'UPDATE t SET a = $1 WHERE b = $1'],
    ['a NUL byte', 'SELECT 1\u0000; DROP TABLE t'],
    ['a lone surrogate', `SELECT '\ud800'`],
  ])('refused: %s', (_, sql) => {
    const error = refusal(sql);
    expect(error.code).toBe('STATEMENT_REFUSED');
    expect(error.field).toBe('input.sql');
    expect(error.expected).toBeTruthy();
    expect(error.fix).toBeTruthy();
  });
});

describe('tables that are read', () => {
  const reads = (sql: string): string[] => names(classify(sql).uses.tables);

  test('are found wherever they are used', () => {
    expect(
      reads(`SELECT (SELECT 1 FROM a), x FROM b JOIN c USING (id), LATERAL (SELECT * FROM d) s
             WHERE EXISTS (SELECT FROM e) AND x IN (SELECT 1 FROM f UNION SELECT 2 FROM s.g)
             GROUP BY x HAVING count(*) > (SELECT 1 FROM h) ORDER BY (SELECT 1 FROM i) LIMIT (SELECT 1 FROM j)`).sort(),
    ).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'h', 'i', 'j', 's.g']);
  });

  test('are found in every part of a write, except its target', () => {
    expect(
      reads(
        'UPDATE t SET a = (SELECT 1 FROM b) FROM c WHERE EXISTS (SELECT FROM d) RETURNING (SELECT 1 FROM e)',
      ).sort(),
    ).toEqual(['b', 'c', 'd', 'e']);
    expect(reads('DELETE FROM t USING u WHERE EXISTS (SELECT FROM t x)').sort()).toEqual(['t', 'u']);
    expect(reads('INSERT INTO t VALUES ((SELECT 1 FROM b))')).toEqual(['b']);
  });

  test('a WITH query hides a table of the same name only within its scope', () => {
    expect(reads('WITH secret AS (SELECT 1) SELECT * FROM secret')).toEqual([]);
    // Within the WITH query itself, without RECURSIVE, the name means the table.
    expect(reads('WITH secret AS (SELECT * FROM secret) SELECT * FROM secret')).toEqual(['secret']);
    expect(reads('WITH RECURSIVE secret AS (SELECT 1 UNION SELECT * FROM secret) SELECT * FROM secret')).toEqual([]);
    // A later WITH query is not in the scope of an earlier one.
    expect(reads('WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a')).toEqual(['b']);
    expect(reads('WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b')).toEqual([]);
    // A WITH query is in scope only in its own subquery.
    expect(reads('SELECT * FROM (WITH secret AS (SELECT 1) SELECT * FROM secret) s, secret')).toEqual(['secret']);
    // A qualified name is never a WITH query.
    expect(reads('WITH secret AS (SELECT 1) SELECT * FROM public.secret')).toEqual(['public.secret']);
    expect(reads('WITH t AS (SELECT 1) DELETE FROM t')).toEqual([]);
    expect(classify('WITH t AS (SELECT 1) DELETE FROM t')).toMatchObject({ target: { name: 't' } });
  });

  test('a foreign key of a new table reads the other table', () => {
    expect(reads('CREATE TABLE t (a int REFERENCES u (id))')).toEqual(['u']);
    expect(reads('ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES s.u')).toEqual(['s.u']);
  });
});

describe('functions', () => {
  const functions = (sql: string): string[] => names(classify(sql).uses.functions);

  test('are found in every position', () => {
    expect(
      functions(`SELECT f1(f2(1)), count(*) FILTER (WHERE f3()) OVER (PARTITION BY f4() ORDER BY f5()), CASE f6() WHEN f7() THEN f8() ELSE f9() END,
                 ARRAY[f10()], ROW(f11()), coalesce(f12(), f13()), greatest(f14()), (f15()).x, a[f16()], f17() IS NULL, f18()::int, f19() COLLATE "C"
                 FROM f20(f21()) AS g, ROWS FROM (f22(), f23()) AS h, t JOIN u ON f24() WHERE f25() AND NOT f26() OR x = ANY (f27())
                 GROUP BY GROUPING SETS ((f28())) HAVING f29() WINDOW w AS (ORDER BY f30()) ORDER BY f31() LIMIT f32() OFFSET f33()`)
        .filter((name) => name.startsWith('f'))
        .map((name) => Number(name.slice(1)))
        .sort((a, b) => a - b),
    ).toEqual(Array.from({ length: 33 }, (_, at) => at + 1));
    expect(functions('INSERT INTO t VALUES (f1()) RETURNING f2()')).toEqual(['f1', 'f2']);
    expect(
      functions('UPDATE t SET a = f1(), (b, c) = (f2(), 1), d[f3()] = 1 WHERE f4() RETURNING f5()').sort(),
    ).toEqual(expect.arrayContaining(['f1', 'f2', 'f3', 'f4', 'f5']) as string[]);
    expect(
      functions('CREATE TABLE t (a int DEFAULT f1() CHECK (f2(a)), b int GENERATED ALWAYS AS (f3(a)) STORED)').sort(),
    ).toEqual(['f1', 'f2', 'f3']);
    expect(functions('ALTER TABLE t ALTER COLUMN a TYPE int USING f1(a), ALTER b SET DEFAULT f2()').sort()).toEqual([
      'f1',
      'f2',
    ]);
    expect(functions('CREATE INDEX ON t (f1(a)) WHERE f2(a)').sort()).toEqual(['f1', 'f2']);
  });

  test('that are called as if they were columns are found', () => {
    expect(functions('SELECT t.nuke FROM t')).toEqual(['nuke']);
    expect(functions(`SELECT ('x'::text).pg_sleep`)).toEqual(['pg_sleep']);
    expect(functions('SELECT s.t.nuke, (t.a).nuke2 FROM s.t').sort()).toEqual(['a', 'nuke', 'nuke2', 't']);
  });

  test('are recorded with their place: a value that is set, a condition, or output', () => {
    const places = (sql: string): Record<string, string> =>
      Object.fromEntries(classify(sql).uses.functions.map(({ name, place }) => [name, place]));
    expect(places('UPDATE t SET a = v(), b = (SELECT c1()) WHERE c2()')).toEqual({
      v: 'value',
      c1: 'condition',
      c2: 'condition',
    });
    expect(places('INSERT INTO t VALUES (v(), (SELECT c1()))')).toEqual({ v: 'value', c1: 'condition' });
    expect(places('INSERT INTO t SELECT c1() WHERE c2() IN (VALUES (c3()))')).toEqual({
      c1: 'output',
      c2: 'condition',
      c3: 'condition',
    });
    expect(places('SELECT o() WHERE c() IN (VALUES (d()))')).toMatchObject({
      o: 'output',
      c: 'condition',
      d: 'condition',
    });
    expect(places('ALTER TABLE t ALTER a SET DEFAULT v(), ALTER b TYPE int USING c()')).toEqual({
      v: 'value',
      c: 'condition',
    });
    expect(places('CREATE TABLE t (a int DEFAULT v() CHECK (c()))')).toEqual({ v: 'value', c: 'condition' });
  });

  test('of the clock count only when they are part of the output', () => {
    expect(classify('SELECT now()').uses.clockInOutput).toBe(true);
    expect(classify('SELECT current_date FROM t').uses.clockInOutput).toBe(true);
    expect(classify('WITH c AS (SELECT now() AS n) SELECT n FROM c').uses.clockInOutput).toBe(true);
    expect(classify('SELECT n FROM (SELECT now() AS n) s').uses.clockInOutput).toBe(true);
    expect(classify('INSERT INTO t SELECT now()').uses.clockInOutput).toBe(true);
    expect(classify('WITH c AS (SELECT now() AS n) INSERT INTO t SELECT n FROM c').uses.clockInOutput).toBe(true);
    expect(classify('INSERT INTO t VALUES (now())').uses.clockInOutput).toBe(false);
    expect(classify('DELETE FROM t WHERE a < (SELECT now())').uses.clockInOutput).toBe(false);
    expect(classify('SELECT a FROM t WHERE b < now()').uses.clockInOutput).toBe(false);
    expect(classify('SELECT current_user').uses.clockInOutput).toBe(false);
  });
});

describe('hostile texts', () => {
  test('every text is either classified or refused with a code', () => {
    const word = fc.constantFrom(
      ...'select insert update delete from into where set values with as ( ) , ; * = $1 t u x.y \'a\' "b" 1 null and or not in union all returning copy do $$ -- /* */ :: case when then end limit lateral array[ ] recursive truncate drop table cascade alter create default'.split(
        ' ',
      ),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(word, { maxLength: 30 }).map((words) => words.join(' ')),
        ),
        (sql) => {
          expect(verdict(sql)).toMatch(/^(READ|WRITE|DELETE|STATEMENT_REFUSED)$/);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('a second statement is refused, however it is attached', () => {
    const first = fc.constantFrom('SELECT 1', `SELECT 'a'`, 'SELECT "b" FROM c', 'SELECT $x$ ; $x$', `SELECT E'\\''`);
    const gap = fc.constantFrom(';', ' ; ', ';;', '/* ; */;', '--\n;', `;\n--\n`);
    const second = fc.constantFrom('DELETE FROM t', 'DROP TABLE t', 'SELECT 2', 'COMMIT');
    fc.assert(
      fc.property(first, gap, second, (a, b, c) => {
        expect(refusal(`${a}${b}${c}`).code).toBe('STATEMENT_REFUSED');
      }),
    );
  });

  test('a text that would overflow the parser is refused before parsing, so that the parser keeps working', () => {
    const deep = [
      `SELECT ${'(SELECT '.repeat(4_000)}1${')'.repeat(4_000)}`,
      `SELECT ${'1+'.repeat(30_000)}1`,
      `SELECT ${'- '.repeat(20_000)}1`,
      `SELECT ${'('.repeat(20_000)}1${')'.repeat(20_000)}`,
      `SELECT ${'"a"'.repeat(20_000)}`,
    ];
    for (let round = 0; round < 40; round++)
      for (const sql of deep) expect(refusal(sql).code).toBe('STATEMENT_REFUSED');
    expect(classify('DELETE FROM t').operation).toBe('sql.delete');
  });

  test.each([
    ['selects in selects', (n: number) => `SELECT ${'(SELECT '.repeat(n)}1${')'.repeat(n)}`],
    ['sums', (n: number) => `SELECT ${'1+'.repeat(n)}1`],
    ['signs', (n: number) => `SELECT ${'- '.repeat(n)}1`],
    ['calls', (n: number) => `SELECT ${'f('.repeat(n)}${')'.repeat(n)}`],
    ['casts', (n: number) => `SELECT 1${'::int'.repeat(n)}`],
    ['unions', (n: number) => `SELECT 1${' UNION SELECT 1'.repeat(n)}`],
    ['joins', (n: number) => `SELECT 1 FROM a${' JOIN a ON true'.repeat(n)}`],
    ['arrays', (n: number) => `SELECT ${'ARRAY['.repeat(n)}1${']'.repeat(n)}`],
    ['cases', (n: number) => `SELECT ${'CASE WHEN true THEN '.repeat(n)}1${' END'.repeat(n)}`],
  ])('the deepest %s that are passed to the parser do not break it', (_, make) => {
    for (let n = 100; n <= 3_200; n += 100) expect(verdict(make(n))).toMatch(/^(READ|STATEMENT_REFUSED)$/);
    expect(classify('SELECT 1').operation).toBe('sql.select');
  });
});

describe('rewriting', () => {
  test('a printed statement parses to the same tree', () => {
    for (const sql of [
      `SELECT a, "B c", 'it''s', E'x\\ny', 1.50, -1, NULL, true FROM s.t AS x (a, b) WHERE a BETWEEN 1 AND 2 AND b LIKE 'x%' ESCAPE '!'`,
      `SELECT DISTINCT ON (a) * FROM t LEFT JOIN u USING (id) WHERE (a, b) IN ((1, 2)) ORDER BY a DESC NULLS LAST LIMIT 3 OFFSET 1`,
      `WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r, LATERAL (SELECT n) x`,
      `SELECT a -> 'b' ->> 'c', a #>> '{x,y}', b @> ARRAY[1, 2], c::numeric(10,2), d AT TIME ZONE 'UTC', extract(year FROM e)`,
      `SELECT count(*) FILTER (WHERE a > 1) OVER (PARTITION BY b ORDER BY c ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t`,
      `SELECT CASE a WHEN 1 THEN 'x' ELSE 'y' END, a IS DISTINCT FROM b, NOT a, a IS NOT TRUE, x[1:2], (y).z FROM t`,
    ]) {
      const { type, node } = parseOne(sql);
      expect(() => print(type, node)).not.toThrow();
    }
  });
});
