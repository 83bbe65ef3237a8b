/** What every JavaScript runtime is tried with, by nothing but what all of them have: an action that is done, one that is denied, one that waits for people, one that is cancelled. */
import type { Countersign, CountersignError } from '../../clients/typescript/src/index.js';

export interface Toured {
  readonly done: unknown;
  /** The same call again. */
  readonly again: unknown;
  readonly denied: unknown;
  readonly waited: unknown;
  readonly approved: unknown;
  readonly cancelled: unknown;
  /** The code of what a call throws that is no proposal. */
  readonly refused: string;
  readonly id: number;
}

/** @param name of the runtime: its actions and rows bear it @param id of the note that it adds */
export async function tour(cs: Countersign, name: string, id: number): Promise<Toured> {
  const add = {
    actionId: `add-${name}`,
    tool: 'shop-db',
    input: { op: 'insert', table: 'notes', rows: [{ id, note: name }] },
  };
  const remove = (table: string, note: string) => ({
    actionId: `${note}-${table}`,
    tool: 'shop-db',
    input: { op: 'delete', table, where: { note } },
  });
  const done = await cs.perform(add);
  const again = await cs.perform(add);
  const denied = await cs.perform(remove('users', name));
  const waiting = await cs.perform(remove('sessions', name));
  const approved = waiting.status === 'pending' ? await waiting.outcome({ timeoutMs: 60_000 }) : waiting;
  const { actionId } = await cs.perform(remove('sessions', `left-${name}`));
  await cs.cancel(actionId);
  const cancelled = await cs.outcome(actionId, { timeoutMs: 60_000 });
  const refused = await cs.perform({ tool: 'no such name', input: {} }).then(
    () => '',
    (error: CountersignError) => error.code,
  );
  return { done, again, denied, waited: waiting.status, approved, cancelled, refused, id };
}
