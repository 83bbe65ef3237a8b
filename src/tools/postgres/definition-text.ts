/** Says in plain words what a change of definition would do: `rename users to people`. The first line that people read of it. */
import type { SchemaStatement } from './classify.js';
import { unwrap, type Ast } from './parser.js';
import { listOf, text, type QualifiedName } from './uses.js';

/** How many changes of one ALTER TABLE are named. */
const MAX_NAMED = 6;

/** @param display names a table as states do */
export function definitionText(statement: SchemaStatement, display: (name: QualifiedName) => string): string {
  const { verb, node, targets } = statement;
  const names = targets.map((name) => display(name));
  const [first = ''] = names;
  switch (verb) {
    case 'create_table':
      return `create table ${first}`;
    case 'drop_table':
      return `drop table ${names.join(', ')}`;
    case 'drop_index':
      return `drop index ${names.join(', ')}`;
    case 'truncate':
      return `truncate ${names.join(', ')}`;
    case 'create_index': {
      const name = text(node['idxname']);
      return `create ${node['unique'] === true ? 'unique ' : ''}index ${name === '' ? '' : `${name} `}on ${first}`;
    }
    case 'rename':
      if (node['renameType'] === 'OBJECT_COLUMN')
        return `rename column ${text(node['subname'])} of ${first} to ${text(node['newname'])}`;
      return `rename ${first} to ${text(node['newname'])}`;
    case 'alter_table': {
      const changes = listOf(node['cmds']).map((command) => alteration(unwrap(command)[1]));
      const more = changes.length > MAX_NAMED ? ` and ${changes.length - MAX_NAMED} more` : '';
      return `alter table ${first}: ${changes.slice(0, MAX_NAMED).join(', ')}${more}`;
    }
  }
}

function alteration(command: Ast): string {
  const name = text(command['name']);
  const added = command['def'] === undefined ? {} : unwrap(command['def'])[1];
  switch (command['subtype']) {
    case 'AT_AddColumn':
      return `add column ${text(added['colname'])}`;
    case 'AT_DropColumn':
      return `drop column ${name}`;
    case 'AT_ColumnDefault':
      return `${command['def'] === undefined ? 'drop' : 'set'} the default of ${name}`;
    case 'AT_SetNotNull':
      return `refuse null in ${name}`;
    case 'AT_DropNotNull':
      return `allow null in ${name}`;
    case 'AT_AlterColumnType':
      return `change the type of ${name}`;
    case 'AT_AddConstraint':
      return `add ${text(added['conname']) === '' ? 'a constraint' : `constraint ${text(added['conname'])}`}`;
    case 'AT_DropConstraint':
      return `drop constraint ${name}`;
    case 'AT_ValidateConstraint':
      return `validate constraint ${name}`;
    default:
      return 'another change';
  }
}
