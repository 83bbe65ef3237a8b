/** Verifies a change of definition by the catalog before and after. Pure. */
import type { Json } from '../../action/json.js';
import type { Check } from '../../action/outcome.js';
import type { State } from '../../action/snapshot.js';
import type { ObservedEffect } from '../tool.js';
import { displayName } from './catalog.js';
import type { SchemaStatement } from './classify.js';
import { DEFINITIONS, OTHERS, rowCountIn } from './definition.js';
import { verifyExports } from './exports.js';
import type { PostgresInput } from './input.js';
import { isAst, unwrap, type Ast } from './parser.js';
import { listOf, text } from './uses.js';
import { check, same } from '../expected-rows.js';

type Fields = { readonly [field: string]: Json };

interface Definition {
  readonly columns: Fields;
  readonly constraints: Fields;
  readonly indexes: Fields;
  readonly triggers: Fields;
}

export function verifyDefinition(
  statement: SchemaStatement,
  effect: ObservedEffect<PostgresInput>,
  schema: string,
): readonly Check[] {
  const before = definitionsIn(effect.pre);
  const after = definitionsIn(effect.post);
  const names = statement.targets.map((name) => displayName(name, schema));
  const problems: string[] = [];
  const expect = (condition: boolean, what: string): void => void (condition || problems.push(`expected ${what}`));
  const free = new Set<string>();
  switch (statement.verb) {
    case 'create_table':
      for (const name of names) expect(after.tables.get(name) != null, `the table ${name} to exist`);
      for (const column of columnsOf(statement.node['tableElts'])) {
        for (const name of names) {
          expect(
            before.tables.get(name) != null || column in (after.tables.get(name)?.columns ?? {}),
            `the column ${column}`,
          );
        }
      }
      break;
    case 'drop_table':
      for (const name of names) expect(after.tables.get(name) == null, `the table ${name} to be gone`);
      break;
    case 'truncate':
      for (const name of names) {
        expect(rowCountIn(effect.post, name) === 0, `the table ${name} to be empty`);
        expect(same(before.raw(name), after.raw(name)), `the definition of ${name} to stay`);
      }
      break;
    case 'create_index':
      for (const name of names) {
        const [was, is] = [before.tables.get(name), after.tables.get(name)];
        expect(same(was?.columns ?? null, is?.columns ?? null), `the columns of ${name} to stay`);
        const index = text(statement.node['idxname']);
        const made = Object.keys(is?.indexes ?? {}).some((one) =>
          index === '' ? !(one in (was?.indexes ?? {})) : one === index,
        );
        expect(made, `the index ${index} on ${name}`);
      }
      break;
    case 'drop_index':
      for (const [name, is] of after.tables) {
        expect(same(before.tables.get(name)?.columns ?? null, is?.columns ?? null), `the columns of ${name} to stay`);
        for (const index of statement.targets)
          expect(!(index.name in (is?.indexes ?? {})), `the index ${index.name} to be gone`);
      }
      break;
    case 'rename':
      verifyRename(statement, names, before, after, expect);
      break;
    case 'alter_table':
      for (const command of listOf(statement.node['cmds'])) {
        for (const name of names) verifyAlteration(unwrap(command)[1], after.tables.get(name), expect, free);
      }
      for (const name of names) {
        expect(
          sameBut(free, before.tables.get(name)?.columns, after.tables.get(name)?.columns),
          `the other columns of ${name} to stay`,
        );
      }
  }
  const others = same(before.others, after.others) ? [] : ['a table that is not named changed its definition'];
  return [check('derived', problems), check('frame.tables', others), ...verifyExports(effect.pre, effect.post)];
}

type Expect = (condition: boolean, what: string) => void;

function verifyAlteration(command: Ast, table: Definition | null | undefined, expect: Expect, free: Set<string>): void {
  const definition = isAst(command['def']) ? unwrap(command['def'])[1] : {};
  const name = text(command['name']) || text(definition['colname']);
  const column = Object.hasOwn(table?.columns ?? {}, name) ? (table?.columns[name] as Fields | undefined) : undefined;
  switch (command['subtype']) {
    case 'AT_AddColumn':
      free.add(name);
      return expect(column !== undefined, `the column ${name}`);
    case 'AT_DropColumn':
      free.add(name);
      return expect(column === undefined, `the column ${name} to be gone`);
    case 'AT_SetNotNull':
      free.add(name);
      return expect(column?.['notNull'] === true, `${name} NOT NULL`);
    case 'AT_DropNotNull':
      free.add(name);
      return expect(column?.['notNull'] === false, `${name} to allow null`);
    case 'AT_ColumnDefault':
      free.add(name);
      return expect(
        ((column?.['default'] ?? null) !== null) === isAst(command['def']),
        `the default of ${name} to be set as asked`,
      );
    case 'AT_AlterColumnType':
      free.add(name);
      return expect(column !== undefined, `the column ${name}`);
    case 'AT_DropConstraint':
      return expect(!(name in (table?.constraints ?? {})), `the constraint ${name} to be gone`);
    case 'AT_AddConstraint': {
      // A primary key makes its columns NOT NULL.
      for (const key of listOf(definition['keys'])) free.add(text(unwrap(key)[1]['sval']));
      const constraint = text(definition['conname']);
      return expect(constraint === '' || constraint in (table?.constraints ?? {}), `the constraint ${constraint}`);
    }
  }
}

function verifyRename(
  statement: SchemaStatement,
  names: readonly string[],
  before: Definitions,
  after: Definitions,
  expect: Expect,
): void {
  const [from = '', to = from] = names;
  if (to !== from) {
    expect(after.tables.get(from) == null, `the table ${from} to be gone`);
    return expect(
      same(before.tables.get(from)?.columns ?? null, after.tables.get(to)?.columns ?? null),
      `${to} with the columns of ${from}`,
    );
  }
  const [old, now] = [text(statement.node['subname']), text(statement.node['newname'])];
  const [was, is] = [before.tables.get(from)?.columns, after.tables.get(from)?.columns];
  expect(was !== undefined && is !== undefined && !(old in is) && same(was[old], is[now]), `${now} in place of ${old}`);
  expect(sameBut(new Set([old, now]), was, is), `the other columns of ${from} to stay`);
}

function columnsOf(elements: unknown): readonly string[] {
  return listOf(elements).flatMap((element) => {
    const [type, node] = unwrap(element);
    return type === 'ColumnDef' ? [text(node['colname'])] : [];
  });
}

function sameBut(free: ReadonlySet<string>, before: Fields = {}, after: Fields = {}): boolean {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].every((name) => free.has(name) || same(before[name], after[name]));
}

interface Definitions {
  readonly tables: ReadonlyMap<string, Definition | null>;
  readonly others: Json;
  raw(name: string): Json;
}

function definitionsIn(state: State): Definitions {
  const all = (state[DEFINITIONS] ?? {}) as Fields;
  const tables = Object.entries(all).filter(([name]) => name !== OTHERS) as [string, Definition | null][];
  return { tables: new Map(tables), others: all[OTHERS] ?? null, raw: (name) => all[name] ?? null };
}
