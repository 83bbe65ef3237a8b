/** The receipt of a person's statement that was carried out. */
import { digest, type JsonObject } from '../src/action/json.js';
import type { ReceiptRef } from '../src/action/outcome.js';
import type { Statement } from '../src/trust/index.js';
import type { Dependencies } from './deps.js';
import { sign } from './record-outcome.js';

/** The statement's own place in the tenant's chain. No action has a slash in its id, so it is never taken for the receipt of one. */
export function receiptOf(statement: Statement, reason: string, deps: Dependencies): Promise<ReceiptRef> {
  const { tenant, kind, subject, jti, signer, by, at, digest: statementDigest } = statement;
  const actionId = `statement/${jti}`;
  const said: JsonObject = {
    kind,
    tenant,
    subject,
    signer,
    by,
    at,
    reason: statement.reason,
    statement: statementDigest,
  };
  const claims = {
    v: 1,
    tenant,
    actionId,
    proposalDigest: statementDigest,
    status: 'success',
    reason,
    tool: `countersign.${kind}`,
    approvals: [statementDigest],
    outcomeDigest: digest(said),
    iat: Math.floor(Date.now() / 1000),
  } as const;
  return deps.ledger.receipts.append({ tenant, actionId, sign: (link) => sign({ ...claims, ...link }, deps) });
}
