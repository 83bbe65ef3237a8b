/** What `doctor` says of the record: whether the ledger can take receipts, and whether effects were made that it does not know. */
import type { Client } from '@temporalio/client';
import { ledgerBroken } from '../action/errors-ledger.js';
import type { Ledger } from '../ledger/index.js';
import { unrecordedEffects, type UnrecordedEffect } from '../receipts/unrecorded.js';
import type { Tool } from '../tools/tool.js';

/** How far back effects are compared. Milliseconds. */
const SINCE_MS = 7 * 86_400_000;

/** The longest time for the tools' systems to answer. Milliseconds. */
const ANSWER_MS = 10_000;

/** More are not named. */
const MOST = 5;

/** @returns how it stands, in a few words. @throws CountersignError LEDGER_BROKEN where a chain cannot take a receipt */
export async function receiptsStanding({ receipts }: Pick<Ledger, 'receipts'>): Promise<string> {
  const { FAULTS } = await import('../ledger/index.js');
  const [tenants, broken] = [await receipts.tenants(), await receipts.broken()];
  if (broken.length === 0)
    return `${tenants.length} ${tenants.length === 1 ? 'chain' : 'chains'}, each can be continued`;
  const told = broken.slice(0, MOST).map(({ tenant, fault, seq }) => `${tenant}: ${FAULTS[fault](seq)}`);
  throw ledgerBroken(`No action of these tenants is admitted. ${told.join('; ')}${more(broken.length)}`);
}

/** @returns how it stands, in a few words. @throws CountersignError LEDGER_BROKEN where Temporal saw receipts that the ledger does not have */
export async function receiptsSeen(ledger: Pick<Ledger, 'receipts'>, temporal: Client): Promise<string> {
  const { setBackTenants } = await import('../receipts/set-back.js');
  const setBack = await setBackTenants(ledger, temporal);
  if (setBack.length === 0) return 'the ledger has every receipt that Temporal saw';
  const told = setBack
    .slice(0, MOST)
    .map(({ tenant, head, seen }) => `${tenant} ends with receipt ${head}, and Temporal saw receipt ${seen}`);
  throw ledgerBroken(`The ledger was set back: ${told.join('; ')}${more(setBack.length)}.`, {
    fix: 'Restore a later backup. What was done since is listed by `countersign receipts unrecorded`; each tenant stays frozen until a person lifts it.',
  });
}

/** @returns how it stands, in a few words. @throws CountersignError LEDGER_BROKEN where effects were made that the ledger does not know */
export async function effectsStanding(ledger: Ledger, tools: readonly Tool[]): Promise<string> {
  const since = new Date(Date.now() - SINCE_MS);
  const found: UnrecordedEffect[] = [];
  let count = 0;
  for await (const effect of unrecordedEffects({ ledger, tools, since, signal: AbortSignal.timeout(ANSWER_MS) })) {
    count++;
    if (found.length < MOST) found.push(effect);
  }
  if (count === 0) return 'the ledger knows every effect of the last 7 days that a tool recorded';
  const told = found.map(({ tool, tenant, actionId, ledger }) => `${tenant}/${actionId} on ${tool} (${ledger})`);
  throw ledgerBroken(`Effects that the ledger does not know as made: ${told.join(', ')}${more(count)}.`, {
    fix: 'List them all: countersign receipts unrecorded. The ledger was restored to an earlier state, or changed outside Countersign.',
  });
}

function more(count: number): string {
  return count > MOST ? ` … ${count - MOST} more` : '';
}
