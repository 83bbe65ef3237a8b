/** `countersign receipts verify`: whether the record of what was done is whole and unaltered. */
import type { Command } from 'commander';
import { CountersignError } from '../../action/errors.js';
import type { ReceiptsReport, TenantReport } from '../../receipts/verify.js';
import { examples, run } from '../command.js';
import { LOCAL_FOLDER, type Context } from '../context.js';
import type { Exit } from '../exit-codes.js';
import { sanitize } from '../../presentation/sanitize.js';
import type { Paint } from '../output.js';
import { unrecorded } from './unrecorded.js';

interface VerifyOptions {
  readonly tenant?: string;
  readonly anchors: string;
  readonly offline?: boolean;
}

export function receipts(program: Command): void {
  const command = program.command('receipts').description('the signed receipts of outcomes');
  unrecorded(command);
  command
    .command('verify')
    .description('verify every receipt: signatures, gaps, edits, the recorded outcomes, and what Temporal saw')
    .option('--tenant <tenant>', 'only this tenant; default: all')
    .option('--anchors <file>', 'where the last verified receipts are remembered', `${LOCAL_FOLDER}/anchors.json`)
    .option('--offline', 'do not ask Temporal; receipts removed from the end may then go unnoticed')
    .addHelpText(
      'after',
      examples('countersign receipts verify', 'countersign receipts verify --tenant acme --json') +
        '\n\nNeeds the ledger and the public receipt keys. Keep the anchors where those who can write to the ledger cannot:\n' +
        'they show that the end of a chain was cut off. Exits with 1 and RECEIPTS_BROKEN when anything is wrong.',
    )
    .action(run(verify));
}

async function verify(context: Context, options: VerifyOptions): Promise<Exit | void> {
  const [{ verifyReceipts }, { readAnchors, saveAnchors }] = await Promise.all([
    import('../../receipts/verify.js'),
    import('../../receipts/anchors.js'),
  ]);
  const { tenant } = options;
  const ledgerName = ledgerNameOf(context);
  const anchors = await readAnchors(options.anchors, ledgerName);
  const [keyring, ledger] = await Promise.all([context.keyring(), context.ledger()]);
  const report = await verifyReceipts({
    ledger,
    keyring,
    anchors,
    ...(options.offline === true ? {} : { temporal: await context.temporal() }),
    ...(tenant === undefined ? {} : { tenant }),
  });
  if (tenant !== undefined && report.tenants.every(({ ok, receipts }) => ok && receipts === 0))
    throw noReceipts(tenant);
  await saveAnchors(options.anchors, ledgerName, report);

  const { out } = context;
  const error = report.ok ? undefined : broken(report);
  out.result({ ...report, ...(error === undefined ? {} : { error: error.toJSON() }) }, () =>
    reportText(report, out.paint),
  );
  if (error === undefined) return;
  out.complain(error);
  return 'fault';
}

/** The ledger without user and password, as the anchors know it. */
function ledgerNameOf(context: Context): string {
  const url = context.ledgerUrl();
  const schema = context.ledgerSchema().schema ?? 'countersign';
  if (!URL.canParse(url)) return schema; // The ledger itself refuses it, and says how it should be.
  const { hostname, port, pathname } = new URL(url);
  return `${hostname}:${port || '5432'}${pathname} ${schema}`;
}

function noReceipts(tenant: string): CountersignError {
  return new CountersignError(
    'NOT_FOUND',
    `There are no receipts of tenant ${JSON.stringify(tenant)}, and no earlier verification saw one.`,
    {
      field: '--tenant',
      expected: 'a tenant whose actions have ended',
      fix: 'Leave --tenant out to verify all.',
    },
  );
}

function broken({ tenants }: ReceiptsReport): CountersignError {
  const bad = tenants.filter(({ ok }) => !ok);
  const count = bad.reduce((sum, { problemCount }) => sum + problemCount, 0);
  return new CountersignError(
    'RECEIPTS_BROKEN',
    `${count} ${count === 1 ? 'problem' : 'problems'} in the receipts of ${bad.map(({ tenant }) => tenant).join(', ')}.`,
    {
      field: 'receipts',
      expected: 'a chain without gaps whose every receipt verifies, and the outcomes it was signed for',
      fix: 'Somebody changed the ledger outside Countersign, or it was restored to an earlier state. Compare it with a backup.',
    },
  );
}

function reportText({ tenants }: ReceiptsReport, paint: Paint): string {
  if (tenants.length === 0) return paint.dim('there are no receipts yet');
  return tenants.map((tenant) => tenantText(tenant, paint)).join('\n');
}

function tenantText(report: TenantReport, paint: Paint): string {
  const { ok, tenant, receipts: count, outcomes, head, anchor, witnessed, problems, problemCount } = report;
  const last = head === undefined ? '' : `, last #${head.seq} ${paint.dim(sanitize(head.hash))}`;
  const before =
    anchor === undefined
      ? 'no earlier verification to compare with'
      : `compared with receipt #${anchor.seq} of an earlier verification`;
  const lines = [
    `${ok ? paint.green('✓') : paint.red('✗')} ${paint.bold(sanitize(tenant))}  ${count} receipts, ${outcomes} recorded outcomes${last}`,
    `    ${paint.dim(`${before}; ${witnessed ? 'Temporal was asked' : 'Temporal was not asked'}`)}`,
    ...problems.map(({ seq, problem }) => `    ${paint.red(`#${seq}`)}  ${sanitize(problem)}`),
  ];
  if (problemCount > problems.length) lines.push(`    … ${problemCount - problems.length} more`);
  return lines.join('\n');
}
