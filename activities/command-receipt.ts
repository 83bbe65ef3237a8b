/** Appends the receipt for a signed command that was carried out. */
import { digest, type JsonObject } from '../src/action/json.js';
import type { ReceiptRef } from '../src/action/outcome.js';
import type { SignedCommand } from '../src/trust/index.js';
import type { Dependencies } from './deps.js';
import { sign } from './record-outcome.js';

/** Appends the receipt to the tenant's chain, under an id of its own. No action id has a slash, so none is mistaken for this one. */
export function appendCommandReceipt(
  command: SignedCommand,
  reason: string,
  deps: Dependencies,
  actionId = `command/${command.jti}`,
): Promise<ReceiptRef> {
  const { tenant, kind, subject, signer, by, at, digest: commandDigest } = command;
  const content: JsonObject = {
    kind,
    tenant,
    subject,
    signer,
    by,
    at,
    reason: command.reason,
    statement: commandDigest,
  };
  const claims = {
    v: 1,
    tenant,
    actionId,
    proposalDigest: commandDigest,
    status: 'success',
    reason,
    tool: `countersign.${kind}`,
    approvals: [commandDigest],
    outcomeDigest: digest(content),
    iat: Math.floor(deps.ledger.clock.now().getTime() / 1000),
  } as const;
  return deps.ledger.receipts.append({ tenant, actionId, sign: (link) => sign({ ...claims, ...link }, deps) });
}
