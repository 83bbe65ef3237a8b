/** The agent that the adapters are tried with: a clerk with three tools over a database, and a model that follows orders of one line. */
import { z } from 'zod';
import { textOf, type ChatMessage, type Turn } from './scripted-model.js';

/** Rows of one note each: as many as no policy minds, and more than a dba must be asked for. */
export const CLERK_SCHEMA = `
CREATE TABLE sessions (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text NOT NULL);
CREATE TABLE users (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text NOT NULL);
CREATE TABLE notes (id int PRIMARY KEY, note text NOT NULL);`;

/** SQL that makes so many rows of a note. */
export function rowsOf(table: 'sessions' | 'users', note: string, count: number): string {
  return `INSERT INTO ${table} (note) SELECT '${note}' FROM generate_series(1, ${count})`;
}

const rows = z.object({ table: z.string(), note: z.string() });
const entry = z.object({ id: z.number(), note: z.string() });
type Rows = z.output<typeof rows>;

/** What the tools propose, whatever framework they are of. */
export const CLERK_TOOLS = {
  delete_rows: {
    description: 'Deletes the rows with this note.',
    schema: rows,
    propose: ({ table, note }: Rows) => ({
      tool: 'shop-db',
      input: { op: 'delete', table, where: { note } },
      reasoning: `The user wants no ${note}.`,
      // A promise that is not kept.
      ...(note.startsWith('broken') ? { expect: 'size(post.sessions) == -1' } : {}),
    }),
  },
  archive_rows: {
    description: 'Marks the rows with this note as archived.',
    schema: rows,
    propose: ({ table, note }: Rows) => ({
      tool: 'shop-db',
      input: { op: 'update', table, set: { note: `archived ${note}` }, where: { note } },
    }),
  },
  add_note: {
    description: 'Adds a note.',
    schema: entry,
    propose: ({ id, note }: z.output<typeof entry>) => ({
      tool: 'shop-db',
      input: { op: 'insert', table: 'notes', rows: [{ id, note }] },
    }),
  },
} as const;

/**
 * `delete TABLE NOTE`, `note ID NOTE`, or what the documents' examples are told. Where deleting is denied by policy it archives instead, and it ends
 * with what it was told last.
 */
export function clerkSays(messages: readonly ChatMessage[]): Turn {
  const asked = messages.findLast(({ role }) => role === 'user');
  const order = asked === undefined ? '' : orderIn(textOf(asked));
  const [verb, first = '', note = ''] = order.split(' ');
  const last = messages.at(-1);
  if (last?.role === 'tool') {
    const told = textOf(last);
    return told.includes('POLICY_DENIED')
      ? { tool: 'archive_rows', args: { table: first, note } }
      : `I was told: ${told}`;
  }
  if (order === 'Delete the stale sessions.') return { tool: 'delete_sessions', args: { note: 'stale' } };
  return verb === 'note'
    ? { tool: 'add_note', args: { id: Number(first), note } }
    : { tool: 'delete_rows', args: { table: first, note } };
}

/** CrewAI writes its task around the order. */
function orderIn(text: string): string {
  return /^Current Task: (.*)$/m.exec(text)?.[1] ?? text;
}
