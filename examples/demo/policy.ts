/** The shop's policy over the time of the demo: published, compared with what was decided before, promoted and rolled back. */
import { fileURLToPath } from 'node:url';
import type { Digest } from '../../src/action/json.js';
import type { Countersign } from '../../src/index.js';
import { decisionsOf } from '../../src/decisions/from-ledger.js';
import type { Ledger } from '../../src/ledger/index.js';
import { runsPolicy, workersAgreed } from '../../src/ledger/rollout/agreement.js';
import { backtest, type BacktestReport } from '../../src/policy/backtest/index.js';
import { bundleFromFiles, compilePolicy, loadBundle } from '../../src/policy/index.js';
import { signCommand, signedEvidence, type Credential, type Keyring } from '../../src/trust/index.js';

const STARTER = fileURLToPath(new URL('../../policies/starter', import.meta.url));

export interface PolicyOfShop {
  /** The starter policy, which is active when the first scene begins. */
  readonly starter: Digest;
  /** Keeps the starter policy with one file more as a draft, which has no effect. */
  readonly publish: (file: string, text: string, reason: string) => Promise<Digest>;
  /** What the draft would have decided of everything that was decided so far. It is kept as the evidence for a promotion. */
  readonly backtest: (draft: Digest) => Promise<BacktestReport>;
  /** A person signs for it, and every worker runs it. */
  readonly promote: (digest: Digest, evidence: Digest | undefined, reason: string) => Promise<void>;
  readonly rollBack: (digest: Digest, reason: string) => Promise<void>;
}

interface Needed {
  readonly tenant: string;
  readonly ledger: Ledger;
  readonly keyring: Keyring;
  readonly client: Countersign;
  /** Of a person who may change the policy. */
  readonly admin: Credential;
}

/** Needs a worker that runs: it is the one that carries out what people sign. */
export async function policyOfShop({ tenant, ledger, keyring, client, admin }: Needed): Promise<PolicyOfShop> {
  const { files } = await loadBundle(STARTER);
  const published = async (more: Readonly<Record<string, string>>, reason: string): Promise<Digest> => {
    const bundle = bundleFromFiles({ ...files, ...more });
    compilePolicy(bundle);
    await ledger.content.putPolicy(bundle.digest, bundle.files);
    await ledger.rollout.publish({ digest: bundle.digest, by: 'paula', reason });
    return bundle.digest;
  };
  const ordered = async (
    kind: 'promote_policy' | 'roll_back_policy',
    subject: Digest,
    reason: string,
    evidence?: Digest,
  ): Promise<void> => {
    const replaces = await ledger.rollout.active();
    const command = await signCommand(admin, {
      kind,
      tenant,
      subject,
      reason,
      ...(replaces === undefined ? {} : { replaces }),
      ...(evidence === undefined ? {} : { evidence }),
    });
    await client.submitCommand(command);
    const running = { state: 'active', digest: subject } as const;
    const workers = await workersAgreed(ledger.rollout, running, 1);
    if (workers.length > 0 && workers.every((worker) => runsPolicy(worker, running))) return;
    throw new Error('the workers have not taken up the policy within ten seconds');
  };

  const starter = await published({}, 'the starter policy');
  await ordered('promote_policy', starter, 'the first policy of the shop');
  return {
    starter,
    publish: (file, text, reason) => published({ [file]: text }, reason),
    async backtest(draft) {
      const [found, baseline] = await Promise.all([ledger.content.getPolicy(draft), ledger.rollout.active()]);
      if (found === undefined || baseline === undefined) throw new Error('there is nothing to compare');
      const { records, policies } = await decisionsOf(ledger, keyring, { tenant });
      const candidate = compilePolicy(bundleFromFiles(found));
      const report = backtest(records, { candidate, recordedUnder: policies });
      const { summary } = report;
      const { report: name, decisions } = summary;
      const evidence = { candidate: draft, baseline, report: name, decisions, summary: { ...summary } };
      await ledger.rollout.addEvidence(await signedEvidence(admin, evidence));
      return report;
    },
    promote: (digest, evidence, reason) => ordered('promote_policy', digest, reason, evidence),
    rollBack: (digest, reason) => ordered('roll_back_policy', digest, reason),
  };
}
