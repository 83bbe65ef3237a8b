/** A small file that remembers the last receipt seen of each tenant, so that a chain cut short later is noticed. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { CountersignError } from '../action/errors.js';
import { parseJson } from '../action/parse.js';
import type { ReceiptsReport } from './verify.js';

const anchorSchema = z.strictObject({
  seq: z.number().int().min(1),
  hash: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  /** When it was seen, RFC 3339 UTC. */
  at: z.string(),
});
const fileSchema = z.strictObject({
  /** By ledger (host, port, database and schema), then by tenant. */
  ledgers: z.record(z.string(), z.record(z.string(), anchorSchema)),
});

type Anchor = z.infer<typeof anchorSchema>;
type AnchorFile = z.infer<typeof fileSchema>;

/** The anchors kept for one ledger; none when there is no file yet. @throws CountersignError CONFIG_INVALID when the file cannot be used */
export async function readAnchors(file: string, ledger: string): Promise<Readonly<Record<string, Anchor>>> {
  const { ledgers } = await readFileOf(file);
  return Object.hasOwn(ledgers, ledger) ? (ledgers[ledger] ?? {}) : {};
}

/** Moves the anchors of the tenants that verified. The others keep theirs: a broken chain may not become the measure. */
export async function saveAnchors(
  file: string,
  ledger: string,
  report: ReceiptsReport,
  now = new Date(),
): Promise<void> {
  const { ledgers } = await readFileOf(file);
  const kept = Object.hasOwn(ledgers, ledger) ? (ledgers[ledger] ?? {}) : {};
  const moved: Record<string, Anchor> = {};
  for (const { tenant, ok, head } of report.tenants) {
    // Not back, either: another verification may have seen more meanwhile.
    if (!ok || head === undefined || head.seq < (kept[tenant]?.seq ?? 0)) continue;
    moved[tenant] = { ...head, at: now.toISOString() };
  }
  const text = JSON.stringify({ ledgers: { ...ledgers, [ledger]: { ...kept, ...moved } } }, null, 2);
  const draft = `${file}.${process.pid}`;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(draft, `${text}\n`, { mode: 0o600 });
  await rename(draft, file);
}

async function readFileOf(file: string): Promise<AnchorFile> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { ledgers: {} };
    throw unusable(file, error);
  }
  try {
    return fileSchema.parse(parseJson(text, file));
  } catch (error) {
    throw unusable(file, error);
  }
}

/** Not taken for an absent file: whoever cut the chain might have damaged it. */
function unusable(file: string, cause: unknown): CountersignError {
  return new CountersignError('CONFIG_INVALID', `The anchors in ${file} cannot be read.`, {
    field: file,
    expected: 'the file that an earlier `countersign receipts verify` wrote',
    fix: 'Restore it; or, if it is lost for good, move it away and know that nothing is compared with earlier verifications.',
    cause,
  });
}
