/** `countersign trail verify`: a file, a proof, or the ledger itself, against nothing but public keys. */
import { open, readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { CountersignError } from '../../../action/errors.js';
import { parseJson } from '../../../action/parse.js';
import type { AnchorLine } from '../../../trail/anchored.js';
import type { TrailKeys } from '../../../trail/keys.js';
import { linesIn } from '../../../trail/json-lines.js';
import type { TrailReport } from '../../../trail/report.js';
import type { CheckTimestamp } from '../../../trail/stamped.js';
import type { VerifyTrailOptions } from '../../../trail/verify-lines.js';
import { sanitize } from '../../../presentation/sanitize.js';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import type { Exit } from '../../exit-codes.js';
import { durationOption } from '../../duration-options.js';
import { usageError } from '../../usage-error.js';
import { reportText } from './report-text.js';

interface VerifyOptions {
  readonly keys?: string;
  readonly tenant?: string;
  readonly anchors?: readonly string[];
  readonly timestampCa?: string;
  readonly timestampCrl?: readonly string[];
  readonly maxOpen?: string;
}

export function verifyTrailCommand(command: Command): void {
  command
    .command('verify')
    .description('verify an exported trail or a proof, offline; without a file: the trails in the ledger')
    .argument('[file]', 'made by `countersign trail export` (jsonl) or `countersign trail prove`')
    .option('--keys <file>', "the public keys, as `countersign keys public` prints them; default: this process's keys")
    .option('--tenant <tenant>', 'without a file: only this tenant')
    .option('--anchors <file...>', 'checkpoints that were kept elsewhere: what an anchor wrote')
    .option('--timestamp-ca <file>', 'the certificates (PEM) by which time stamps in --anchors are checked')
    .option(
      '--timestamp-crl <file...>',
      'lists of revoked certificates (CRL, PEM or DER) that --timestamp-ca is checked against',
    )
    .option('--max-open <duration>', 'fail where a grant was used longer ago and its action has no receipt: 1h, 2d')
    .addHelpText(
      'after',
      examples(
        'countersign trail verify acme.jsonl --keys public-keys.json --anchors anchored.jsonl',
        'countersign trail verify acme.jsonl --keys public-keys.json --anchors anchored.jsonl --timestamp-ca tsa-ca.pem',
        'countersign trail verify proof.json --keys public-keys.json',
        'countersign trail verify --tenant acme --max-open 1h',
      ) +
        '\n\nA file needs no ledger, no Temporal and no network. Anchors show that the end was cut off, or another trail was shown;\n' +
        'their time stamps (RFC 3161), when a checkpoint existed at the latest.\n' +
        'Exits with 1 and TRAIL_BROKEN when anything is wrong, with 1 and CHECK_FAILED for what --max-open forbids.',
    )
    .action(run(verify));
}

async function verify(context: Context, file: string | undefined, options: VerifyOptions): Promise<Exit | void> {
  if (options.timestampCa !== undefined && options.anchors === undefined) {
    throw usageError('There are no time stamps to check.', {
      field: '--anchors',
      expected: 'a file that an anchor wrote: time stamps are in it',
    });
  }
  if (options.timestampCrl !== undefined && options.timestampCa === undefined) {
    throw usageError('There are no certificates to look for in the lists.', {
      field: '--timestamp-ca',
      expected: 'the certificates by which time stamps are checked',
    });
  }
  const overdueBefore = overdue(options);
  const keys = await keysOf(context, options);
  const proof = file === undefined ? undefined : await proofIn(file);
  if (proof !== undefined) {
    if (overdueBefore !== undefined) {
      throw usageError('A proof has no grants.', { field: '--max-open', expected: 'an exported trail, or no file' });
    }
    if (options.timestampCa !== undefined) {
      throw usageError('Time stamps are checked of an exported trail, and of no proof.', {
        field: '--timestamp-ca',
        expected: 'an exported trail, or no file',
      });
    }
    const { verifyProof } = await import('../../../trail/proofs.js');
    const proven = await verifyProof(proof, keys, (await anchored(options)).anchors);
    const { out } = context;
    out.result({ ok: true, ...proven }, () =>
      proven.type === 'inclusion'
        ? `${out.paint.green('✓')} entry ${proven.seq} is in the signed trail of ${sanitize(proven.tenant)}, over ${proven.size} entries`
        : `${out.paint.green('✓')} the trail of ${sanitize(proven.tenant)} over ${proven.from} entries is the beginning of the one over ${proven.to}`,
    );
    return;
  }
  const against = { keys, overdueBefore, ...(await anchored(options)) };
  const reports = file === undefined ? await ofLedger(context, options.tenant, against) : [await ofFile(file, against)];
  return tell(context, reports);
}

/** When a grant is overdue, and its action has no receipt, if it was used before. */
function overdue({ maxOpen }: VerifyOptions): Date | undefined {
  return maxOpen === undefined ? undefined : new Date(Date.now() - durationOption(maxOpen, '--max-open'));
}

async function keysOf(context: Context, { keys }: VerifyOptions): Promise<TrailKeys> {
  const { parseTrailKeys, trailKeysOf } = await import('../../../trail/keys.js');
  if (keys === undefined) return trailKeysOf(await context.keyring());
  return parseTrailKeys(await textOf(keys), keys);
}

function bytesOf(file: string): Promise<Buffer> {
  return readFile(file).catch((error: unknown) => {
    throw unreadable(file, error);
  });
}

async function textOf(file: string): Promise<string> {
  return (await bytesOf(file)).toString('utf8');
}

/** Undefined for a file of lines: each of those is a document of its own. */
async function proofIn(file: string) {
  const { readProof } = await import('../../../trail/proofs.js');
  for await (const line of linesOf(file))
    if (line.startsWith('{"type":"trail"')) return undefined;
    else break;
  try {
    return readProof(parseJson(await readFile(file, 'utf8'), file));
  } catch {
    return undefined;
  }
}

async function ofFile(file: string, against: VerifyTrailOptions): Promise<TrailReport> {
  const { verifyTrail } = await import('../../../trail/verify-lines.js');
  return verifyTrail(linesOf(file), against);
}

async function ofLedger(context: Context, tenant: string | undefined, against: VerifyTrailOptions) {
  const [{ verifyTrail }, { exportLines }, { withUnlisted }] = await Promise.all([
    import('../../../trail/verify-lines.js'),
    import('../../../trail/export-lines.js'),
    import('../../../trail/unlisted.js'),
  ]);
  const ledger = await context.ledger();
  const reports: TrailReport[] = [];
  for (const one of tenant === undefined ? await ledger.trail.tenants() : [tenant]) {
    const lines = async function* (): AsyncGenerator<string> {
      for await (const line of exportLines(ledger, one)) yield JSON.stringify(line);
    };
    reports.push(await withUnlisted(ledger, await verifyTrail(lines(), against)));
  }
  return reports;
}

/** The checkpoints in files of anchors, and what checks their time stamps. A line that is none is an anchor that does not verify. */
async function anchored({ anchors: files = [], timestampCa, timestampCrl }: VerifyOptions) {
  const anchors: AnchorLine[] = [];
  for (const file of files) {
    for await (const line of linesOf(file)) anchors.push(anchorIn(line));
  }
  if (timestampCa === undefined) return { anchors };
  const [{ trustedCertificates }, { revocationLists }, { verifyTimestamp }] = await Promise.all([
    import('../../../trail/timestamps/chain.js'),
    import('../../../trail/timestamps/revocation-list.js'),
    import('../../../trail/timestamps/verify.js'),
  ]);
  const trusted = trustedCertificates(await textOf(timestampCa), timestampCa);
  const lists = await Promise.all((timestampCrl ?? []).map(async (file) => revocationLists(await bytesOf(file), file)));
  const revoked = timestampCrl && lists.flat();
  const checkTimestamp: CheckTimestamp = (token, data) => verifyTimestamp(token, { data, trusted, revoked });
  return { anchors, checkTimestamp };
}

function anchorIn(line: string): AnchorLine {
  try {
    const { jws, timestamp } = JSON.parse(line) as { jws?: unknown; timestamp?: unknown };
    if (timestamp === undefined) return { jws: String(jws) };
    return { jws: String(jws), timestamp: typeof timestamp === 'string' ? timestamp : JSON.stringify(timestamp) };
  } catch {
    return { jws: line };
  }
}

async function* linesOf(file: string): AsyncGenerator<string> {
  const handle = await open(file).catch((error: unknown) => {
    throw unreadable(file, error);
  });
  yield* linesIn(handle.createReadStream());
}

function unreadable(file: string, cause: unknown): CountersignError {
  return usageError(`${file} cannot be read: ${(cause as Error).message}`, {
    field: 'file',
    expected: 'the path of a file that can be read',
  });
}

function tell({ out }: Context, reports: readonly TrailReport[]): Exit | void {
  const error = brokenIn(reports) ?? overdueIn(reports);
  const document = { ok: error === undefined, trails: reports, ...(error && { error: error.toJSON() }) };
  out.result(document, () =>
    reports.length === 0
      ? out.paint.dim('there is no trail yet')
      : reports.map((report) => reportText(report, out.paint)).join('\n'),
  );
  if (error === undefined) return;
  out.complain(error);
  return 'fault';
}

function brokenIn(reports: readonly TrailReport[]): CountersignError | undefined {
  const count = reports.reduce((sum, { problemCount }) => sum + problemCount, 0);
  if (count === 0) return undefined;
  return new CountersignError('TRAIL_BROKEN', `${count} ${count === 1 ? 'problem' : 'problems'} in the audit trail.`, {
    field: 'trail',
    expected: 'entries that follow one another, as they were signed',
    fix: 'Keep what you have, and compare it with a backup and with what was anchored elsewhere. docs/trail.md says what each problem means.',
  });
}

function overdueIn(reports: readonly TrailReport[]): CountersignError | undefined {
  const count = reports.reduce((sum, { overdueGrants }) => sum + overdueGrants, 0);
  if (count === 0) return undefined;
  const grants = count === 1 ? '1 grant was' : `${count} grants were`;
  return new CountersignError(
    'CHECK_FAILED',
    `${grants} used longer ago than --max-open, and the action has no receipt.`,
    {
      field: '--max-open',
      expected: 'a receipt of every action that used a grant before then',
      fix: 'Look at each with `countersign show <id>`: its worker may be away, or its workflow gone. Verify a later export once they have ended.',
    },
  );
}
