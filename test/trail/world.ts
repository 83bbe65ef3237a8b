/** A trail in a real ledger, as workers write it: receipts, freezes, a revocation, checkpoints, and a key that another replaced. */
import { digest } from '../../src/action/json.js';
import type { ReceiptClaims } from '../../src/action/receipt.js';
import { Ledger, type ChainLink, type UseGrantRequest } from '../../src/ledger/index.js';
import { checkpointTrail } from '../../src/trail/checkpoint.js';
import { exportLines } from '../../src/trail/export-lines.js';
import {
  generateKeyringFile,
  hashReceipt,
  parseKeyring,
  publicKeyring,
  signReceipt,
  type Keyring,
} from '../../src/trust/index.js';
import { createDatabase } from '../support/postgres.js';
import { admission, collect, outcomeFor, useOf } from '../ledger/support.js';

export const TENANT = 'acme';

export interface TrailWorld {
  readonly url: string;
  readonly ledger: Ledger;
  /** The key of the first part, and the one that replaced it. */
  readonly first: Keyring;
  readonly second: Keyring;
  /** Public keys, as a file. */
  readonly keys: PublicKeys;
  /** The export. */
  readonly lines: readonly string[];
  /** The checkpoints, as an anchor kept them. */
  readonly anchors: readonly string[];
  stop(): Promise<void>;
}

/** The content of a file of public keys, with times. */
export interface PublicKeys {
  readonly receipt: readonly Readonly<Record<string, unknown>>[];
}

export async function newKeyring(): Promise<Keyring> {
  return parseKeyring(JSON.stringify(await generateKeyringFile(['receipt'])), 'test');
}

async function publicKeys(...keyrings: readonly Keyring[]): Promise<PublicKeys> {
  const files = await Promise.all(keyrings.map((keyring) => publicKeyring(keyring)));
  return { receipt: files.flatMap(({ receipt = [] }) => receipt.map((key) => ({ ...key }))) };
}

/** Settles an action as a worker does: admitted, its grant used, its receipt signed. */
export async function settleAction(ledger: Ledger, keyring: Keyring, actionId: string, tenant = TENANT): Promise<void> {
  const { jti } = await useGrant(ledger, actionId, tenant);
  await concludeAction(ledger, keyring, actionId, { tenant, jti });
}

/** The first half of it: another grant of the action, used. */
export async function useGrant(ledger: Ledger, actionId: string, tenant = TENANT): Promise<UseGrantRequest> {
  const admitted = admission({ tenant, actionId });
  await ledger.actions.admit(admitted);
  const use = useOf(admitted, `run-${admitted.grant.jti}/1`);
  await ledger.grants.use(use);
  return use;
}

/** The second half. */
export async function concludeAction(
  ledger: Ledger,
  keyring: Keyring,
  actionId: string,
  { tenant = TENANT, jti }: { readonly tenant?: string; readonly jti: string },
): Promise<void> {
  const names = { tenant, actionId };
  const outcome = outcomeFor(names);
  const claims = (link: ChainLink): ReceiptClaims => ({
    v: 1,
    ...names,
    proposalDigest: outcome.proposalDigest,
    status: 'success',
    reason: 'Done and verified: 1 check holds.',
    agent: 'agent-1',
    tool: 'shop-db',
    environment: 'production',
    actionType: 'WRITE',
    approvals: [],
    grant: jti,
    records: [
      { step: 'enforce', digest: digest(actionId) },
      { step: 'execute', digest: digest([actionId]) },
    ],
    outcomeDigest: digest(outcome),
    iat: Math.floor(Date.now() / 1000),
    ...link,
  });
  await ledger.receipts.settle({
    ...names,
    proposalDigest: outcome.proposalDigest,
    outcome,
    sign: async (link) => {
      const jws = await signReceipt(keyring, claims(link));
      return { jws, hash: hashReceipt(jws) };
    },
  });
}

/** The refusal of another proposal under an action's id: a receipt that ends no action. */
export async function refuseConflict(
  ledger: Ledger,
  keyring: Keyring,
  actionId: string,
  tenant: string,
): Promise<void> {
  const outcomeDigest = digest('a conflict');
  await ledger.receipts.append({
    tenant,
    actionId,
    sign: async (link) => {
      const jws = await signReceipt(keyring, {
        v: 1,
        tenant,
        actionId,
        proposalDigest: outcomeDigest,
        status: 'denied',
        reason: 'The action stands for another proposal.',
        code: 'ACTION_CONFLICT',
        tool: 'shop-db',
        approvals: [],
        outcomeDigest,
        iat: Math.floor(Date.now() / 1000),
        ...link,
      });
      return { jws, hash: hashReceipt(jws) };
    },
  });
}

/** Entries 1 to 4 under the first key, with checkpoints over 3 and 4; 5 to 12 under the second, with one over 8. The last action was slow: entry 11 is its grant's. */
export async function startTrailWorld(): Promise<TrailWorld> {
  const database = await createDatabase('ledger');
  const ledger = await Ledger.connect({ url: database.url });
  const [first, second] = [await newKeyring(), await newKeyring()];
  const rotated: Keyring = { ...second, verify: mergedKeys(first, second) };
  for (const id of ['action-1', 'action-2', 'action-3']) await settleAction(ledger, first, id);
  await checkpointTrail(TENANT, { ledger, keyring: first });
  const freeze = await ledger.controls.freeze({
    tenant: TENANT,
    scope: { kind: 'tool', value: 'shop-db' },
    reason: 'looks odd',
    by: 'ann',
  });
  await checkpointTrail(TENANT, { ledger, keyring: first });
  await ledger.controls.unfreeze(freeze.id, { by: 'ben', reason: 'was fine' });
  await ledger.controls.revoke({ tenant: TENANT, jti: 'credential-1', reason: 'lost', by: 'ann' });
  await settleAction(ledger, rotated, 'action-4');
  await settleAction(ledger, rotated, 'action-5');
  await checkpointTrail(TENANT, { ledger, keyring: rotated });
  await settleAction(ledger, rotated, 'action-6');
  await settleAction(ledger, rotated, 'action-7');
  const slow = await useGrant(ledger, 'action-8');
  await ledger.trail.enterGrants(TENANT, [slow.jti]);
  await concludeAction(ledger, rotated, 'action-8', slow);
  const lines = (await collect(exportLines(ledger, TENANT))).map((line) => JSON.stringify(line));
  const anchors = (await collect(ledger.trail.checkpoints(TENANT, { upTo: 1e9 }))).map(({ jws }) => jws);
  return {
    url: database.url,
    ledger,
    first,
    second: rotated,
    keys: await publicKeys(first, second),
    lines,
    anchors,
    async stop() {
      await ledger.close();
      await database.drop();
    },
  };
}

function mergedKeys(one: Keyring, other: Keyring): Keyring['verify'] {
  return { ...other.verify, receipt: new Map([...one.verify.receipt, ...other.verify.receipt]) };
}
