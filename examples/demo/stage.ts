/** The stage: servers, shop, worker and people, set up before the first scene and cleared after the last. */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Json } from '../../src/action/json.js';
import type { ActionView } from '../../src/action/outcome.js';
import { onShutdown, startDevServers } from '../../src/dev/index.js';
import { temporaryFolder } from '../../src/dev/temporary-folder.js';
import { Countersign, type PendingAction } from '../../src/index.js';
import { Ledger } from '../../src/ledger/index.js';
import { verifyReceipts } from '../../src/receipts/verify.js';
import { createKeyFile, issueAgent, issueApprover, readKeyFile, signApproval } from '../../src/trust/index.js';
import type { Narrator } from './narrate.js';
import { policyOfShop, type PolicyOfShop } from './policy.js';
import { Shop } from './shop.js';
import { readHistory, type ActionHistory } from './history.js';
import type { Verdict, Viewer } from './viewer.js';
import { startWorkerProcess, type WorkerProcess } from './worker-process.js';

const TENANT = 'shop';
const TASK_QUEUE = 'countersign';

export interface Stage {
  readonly tell: Narrator;
  readonly viewer: Viewer;
  readonly shop: Shop;
  /** May read and write. */
  readonly clerk: Countersign;
  /** May only read. */
  readonly reporter: Countersign;
  /** May read, write and delete. */
  readonly cleaner: Countersign;
  /** One value, read from the shop by the demo itself and told to the viewer. */
  readonly ask: (query: string) => Promise<Json>;
  /** The dba signs a decision on exactly what is shown, and hands it in. */
  readonly decide: (action: PendingAction, verdict: Verdict, reason: string) => Promise<void>;
  /** Looks at an action until it is as awaited. @throws Error after ten seconds */
  readonly until: (actionId: string, awaited: (view: ActionView) => boolean) => Promise<ActionView>;
  readonly policy: PolicyOfShop;
  readonly history: (actionId: string) => Promise<ActionHistory>;
  /** Ends the worker, if it still runs, and starts another; with `dieAt`, one that kills itself there. */
  readonly replaceWorker: (options?: { readonly dieAt?: 'execute.after-effect' }) => Promise<WorkerProcess>;
  readonly verifyReceipts: () => Promise<{ readonly ok: boolean; readonly text: string }>;
  /** Where an action is found in the Temporal UI. */
  readonly link: (actionId: string) => string;
}

/** Whatever it starts is registered with `onShutdown`. */
export async function setStage(tell: Narrator, viewer: Viewer): Promise<Stage> {
  // Servers of our own, whatever the environment names: the demo deletes things.
  const { DATABASE_URL: _url, TEMPORAL_ADDRESS: _address, TEMPORAL_NAMESPACE: _namespace, ...env } = process.env;
  tell.step('starting Temporal and Postgres, embedded, with data in a temporary folder');
  const servers = await startDevServers({ env, log: (message) => tell.step(message) });
  const folder = await temporaryFolder('demo');
  onShutdown('the temporary folder', () => folder.remove());

  tell.step('building the shop: customers, products, orders, and 5,200 sessions');
  const shop = await Shop.open(servers.postgres.url, randomBytes(16).toString('hex'));
  onShutdown('the connection to the shop', () => shop.close());

  tell.step('making keys, and credentials for three agents, a dba and a policy admin');
  const keysFile = path.join(folder.path, 'keys.json');
  await createKeyFile(keysFile);
  const keyring = await readKeyFile(keysFile, { production: false });
  const ledger = await Ledger.connect({ url: servers.postgres.url, poolSize: 2 });
  onShutdown('the ledger', () => ledger.close());
  await ledger.migrate();

  const { address, namespace, uiUrl } = servers.temporal;
  const temporal = { address, namespace, taskQueue: TASK_QUEUE };
  const connect = async (id: string, role: string): Promise<Countersign> => {
    const credential = await issueAgent(keyring, { id, tenant: TENANT, roles: [role], scopes: ['shop-db'] });
    const client = await Countersign.connect({ ...temporal, credential });
    onShutdown(id, () => client.close());
    return client;
  };
  const clerk = await connect('clerk', 'read_write_user');
  const reporter = await connect('reporter', 'read_only_user');
  const cleaner = await connect('cleaner', 'admin_user');
  const dba = await issueApprover(keyring, { id: 'dora', tenant: TENANT, roles: ['dba'] });
  const admin = await issueApprover(keyring, { id: 'paula', tenant: TENANT, roles: ['policy-admin'] });

  tell.step('starting the worker, a process of its own: it has the password of the shop, no agent has');
  const secrets = {
    temporalAddress: address,
    namespace,
    ledgerUrl: servers.postgres.url,
    shopUrl: shop.workerUrl,
    keysFile,
  };
  let worker = await startWorkerProcess(secrets);
  tell.step('publishing the starter policy, which a policy admin signs for: until then, everything is denied');
  const policy = await policyOfShop({ tenant: TENANT, ledger, keyring, client: clerk, admin });

  return {
    tell,
    viewer,
    shop,
    clerk,
    reporter,
    cleaner,
    policy,
    async ask(query) {
      const answer = await shop.value(query);
      tell.database(query, answer);
      return answer;
    },
    async decide({ actionId, pending: { shownDigest } }, verdict, reason) {
      tell.decides(verdict, reason);
      const token = await signApproval(dba, { tenant: TENANT, actionId, shownDigest, verdict, reason });
      await clerk.decide(actionId, token);
    },
    async until(actionId, awaited) {
      for (const deadline = Date.now() + 10_000; Date.now() < deadline; await delay(50)) {
        const view = await clerk.view(actionId);
        if (awaited(view)) return view;
      }
      throw new Error(`what was awaited of ${actionId} has not come within ten seconds`);
    },
    history: (actionId) => readHistory(clerk.temporal, `${TENANT}/${actionId}`),
    async replaceWorker({ dieAt } = {}) {
      await worker.stop();
      worker = await startWorkerProcess(secrets, dieAt && `${dieAt}:kill:${path.join(folder.path, 'killed')}`);
      return worker;
    },
    async verifyReceipts() {
      const { ok, tenants } = await verifyReceipts({ ledger, keyring, temporal: clerk.temporal });
      const count = tenants.reduce((sum, { receipts }) => sum + receipts, 0);
      const problems = tenants.flatMap((tenant) => tenant.problems.map(({ problem }) => problem));
      if (ok && count > 0)
        return { ok, text: `all ${count} verify: signed, chained without a gap, and of the recorded outcomes` };
      return { ok: false, text: `${count} receipts do not verify: ${problems.join(' ') || 'there are none'}` };
    },
    link: (actionId) =>
      uiUrl === undefined
        ? `${TENANT}/${actionId}`
        : `${uiUrl}/namespaces/${namespace}/workflows/${encodeURIComponent(`${TENANT}/${actionId}`)}`,
  };
}
