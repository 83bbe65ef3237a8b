/** What is recorded: it verifies with public keys alone, whatever is changed or removed is found, and histories replay. */
import type { Outcome } from '../../action/outcome.js';
import { evaluate } from '../../policy/evaluate.js';
import { replayHistories, type Replayed } from '../../replay/replay.js';
import { queriedHistories } from '../../replay/sources.js';
import { verifyReceipts } from '../../receipts/verify.js';
import { checkpointTrail } from '../../trail/checkpoint.js';
import { exportLines } from '../../trail/export-lines.js';
import { trailKeysOf } from '../../trail/keys.js';
import { verifyTrail } from '../../trail/verify-lines.js';
import { parseKeyring, publicKeyring, verifyReceipt, type Keyring } from '../../trust/index.js';
import { workflowBundlePath } from '../../worker/bundle.js';
import { codeOf } from '../attempts.js';
import type { Guarantee } from '../guarantee.js';
import { broken, doesNotApply, holds, type GuaranteeVerdict } from '../verdict.js';
import type { World } from '../world.js';

const FIX = 'This is a fault of Countersign: report it.';

/** What an auditor has. */
async function publicKeys({ parts }: World): Promise<Keyring> {
  return parseKeyring(JSON.stringify(await publicKeyring(parts.keyring)), 'public keys', { publicOnly: true });
}

async function receiptsVerify(world: World): Promise<GuaranteeVerdict> {
  const { ledger, tenant } = world.parts;
  const report = await verifyReceipts({ ledger, keyring: await publicKeys(world), temporal: world.client.temporal });
  const own = report.tenants.find((one) => one.tenant === tenant);
  const problems = report.tenants.flatMap((one) => one.problems.map(({ problem }) => problem));
  if (!report.ok) return broken(`The receipts do not verify: ${problems.slice(0, 3).join(' ')}`, FIX);
  const ended = new Set(world.proposed.flatMap(({ outcome, actionId }) => (outcome === undefined ? [] : [actionId])));
  const without = world.proposed.find(({ outcome }) => outcome !== undefined && outcome.receipt === undefined);
  if (without !== undefined) return broken(`The action ${without.actionId} ended without a receipt.`, FIX);
  return holds(
    `${own?.receipts ?? 0} receipts verify with public keys alone, and each of ${ended.size} outcomes has one.`,
  );
}

async function tamperedReceipt(world: World): Promise<GuaranteeVerdict> {
  const { ledger, tenant } = world.parts;
  const keyring = await publicKeys(world);
  for await (const { jws } of ledger.receipts.list(tenant)) {
    const [header, payload = '', signature] = jws.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as object;
    const changed = Buffer.from(JSON.stringify({ ...claims, status: 'success', reason: 'edited' })).toString(
      'base64url',
    );
    if ((await codeOf(() => verifyReceipt(keyring, jws))) !== undefined)
      return broken('A receipt does not verify.', FIX);
    const code = await codeOf(() => verifyReceipt(keyring, `${header}.${changed}.${signature}`));
    return code === undefined
      ? broken('A receipt that was changed verifies.', FIX)
      : holds(`A receipt that was changed does not verify (${code}).`);
  }
  return doesNotApply('There are no receipts: nothing could be proposed.');
}

async function trailLines({ parts }: World): Promise<readonly string[]> {
  const { ledger, tenant, keyring } = parts;
  await checkpointTrail(tenant, { ledger, keyring });
  const lines: string[] = [];
  for await (const line of exportLines(ledger, tenant)) lines.push(JSON.stringify(line));
  return lines;
}

async function* each(lines: readonly string[]): AsyncGenerator<string> {
  yield* lines;
}

async function trailVerifies(world: World): Promise<GuaranteeVerdict> {
  const keys = trailKeysOf(await publicKeys(world));
  const report = await verifyTrail(each(await trailLines(world)), { keys });
  if (report.entries === 0) return doesNotApply('The trail has no entries: nothing could be proposed.');
  return report.ok
    ? holds(
        `The exported trail verifies with public keys alone: ${report.entries} entries, signed up to entry ${report.covered}.`,
      )
    : broken(`The exported trail does not verify: ${report.problems[0]?.problem ?? ''}`, FIX);
}

async function removedEntry(world: World): Promise<GuaranteeVerdict> {
  const keys = trailKeysOf(await publicKeys(world));
  const lines = await trailLines(world);
  const at = lines.findIndex((line) => line.startsWith('{"type":"entry"'));
  if (at === -1) return doesNotApply('The trail has no entries: nothing could be proposed.');
  const missed: string[] = [];
  const tampered: readonly (readonly [string, readonly string[]])[] = [
    ['removed', lines.filter((_, index) => index !== at)],
    ['moved', [...lines.slice(0, at), lines[at + 1] ?? '', lines[at] ?? '', ...lines.slice(at + 2)]],
    ['changed', lines.map((line, index) => (index === at ? line.replace(/prove/, 'xrove') : line))],
  ];
  for (const [what, altered] of tampered) {
    if (altered.join('\n') === lines.join('\n')) continue;
    if ((await verifyTrail(each(altered), { keys })).ok) missed.push(what);
  }
  return missed.length === 0
    ? holds('An entry that is removed from the trail, moved or changed is found.')
    : broken(`An entry of the trail that is ${missed.join(' or ')} is not found.`, FIX);
}

/** Each decision anew, on the facts that are recorded of it. */
async function decidedAgain(world: World): Promise<GuaranteeVerdict> {
  const { policy } = world.parts;
  const decided = world.proposed.flatMap(({ outcome }) => (isOfPolicy(outcome, policy.digest) ? [outcome] : []));
  if (decided.length === 0) return doesNotApply('Policy alone decided on no action: limits or people did besides.');
  const other = decided.find(({ facts, decision }) => {
    const again = evaluate(policy, facts);
    return again.effect !== decision.effect || again.policies.join() !== decision.policies.join();
  });
  return other === undefined
    ? holds(`${decided.length} decisions, made again on what is recorded of them, are the same.`)
    : broken(`The decision on ${other.actionId} is another one, made again on what is recorded of it.`, FIX);
}

type Decided = Outcome & Required<Pick<Outcome, 'facts' | 'decision'>>;

/** What limits refused and what people said yes to stands beside the policy: what policy alone decided is decided again here. */
function isOfPolicy(outcome: Outcome | undefined, digest: string): outcome is Decided {
  if (outcome?.facts === undefined || outcome.decision === undefined || outcome.approvals.length > 0) return false;
  const { effect, code, policyDigest } = outcome.decision;
  return policyDigest === digest && (effect === 'allow' || code === 'POLICY_DENIED');
}

async function historiesReplay(world: World): Promise<GuaranteeVerdict> {
  const results: Replayed[] = [];
  await replayHistories(queriedHistories(world.client.temporal, `WorkflowType = 'trustedAction'`), {
    bundle: await workflowBundlePath(),
    encryption: world.parts.encryption,
    concurrency: 1,
    told: (result) => results.push(result),
  });
  if (results.length === 0) return doesNotApply('There are no histories: nothing could be proposed.');
  const bad = results.find(({ problem }) => problem !== undefined);
  return bad === undefined
    ? holds(`${results.length} histories replay on the workflow code of this version.`)
    : broken(`A history does not replay: ${bad.problem?.message ?? ''}`, FIX);
}

export const RECORD: readonly Guarantee[] = [
  {
    id: 'receipts-verify',
    family: 'record',
    promise: 'Every ending has a receipt, and all of them verify with public keys alone.',
    check: receiptsVerify,
  },
  {
    id: 'tampered-receipts-are-found',
    family: 'record',
    promise: 'A receipt that was changed does not verify.',
    check: tamperedReceipt,
  },
  {
    id: 'the-trail-verifies',
    family: 'record',
    promise: 'The exported audit trail verifies with public keys alone.',
    check: trailVerifies,
  },
  {
    id: 'a-cut-trail-is-found',
    family: 'record',
    promise: 'An entry that is removed from the trail, moved or changed is found.',
    check: removedEntry,
  },
  {
    id: 'decisions-can-be-made-again',
    family: 'record',
    promise: 'A decision, made again on what is recorded of it, is the same.',
    check: decidedAgain,
  },
  {
    id: 'histories-replay',
    family: 'record',
    promise: 'The histories of these actions replay on the workflow code of this version.',
    check: historiesReplay,
  },
];
