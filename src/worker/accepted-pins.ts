/**
 * Pins that are in force only where a person signed for them. The file of pins says what an operator's machine accepted; the receipt of a
 * signed command says who accepted it, and why. A tool whose pins have none is offered to nobody, and its server is asked for nothing.
 */
import type { Logger } from 'pino';
import { CountersignError } from '../action/errors.js';
import type { Digest } from '../action/json.js';
import { pinsReceiptPrefix, type Ledger } from '../ledger/index.js';
import { pinsDigest } from '../tools/mcp/definitions.js';
import type { Tool } from '../tools/tool.js';
import { verifyReceipt, type Keyring } from '../trust/index.js';

interface Judging {
  readonly ledger: { readonly receipts: Pick<Ledger['receipts'], 'ofPins'> };
  readonly keyring: Pick<Keyring, 'verify'>;
  readonly logger: Pick<Logger, 'error'>;
}

/**
 * The tools as they are in force: read once, as the pins are. A tool that has no pins refuses everything by itself.
 *
 * @throws CountersignError LEDGER_UNAVAILABLE
 */
export function withAcceptedPins(tools: readonly Tool[], judging: Judging): Promise<readonly Tool[]> {
  const judged = tools.map(async (tool) => {
    const { name, pinning } = tool;
    if (pinning === undefined || pinning.accepted.size === 0) return tool;
    const pins = pinsDigest(name, pinning.accepted);
    if (await isAccepted(pins, judging)) return tool;
    const error = notAccepted(name, pins);
    judging.logger.error(
      { tool: name, err: error },
      'its pins are not in force; whatever is proposed on it is refused',
    );
    return refusing(tool, error);
  });
  return Promise.all(judged);
}

/** Whoever can write to the ledger can put in a receipt, and not sign it. */
async function isAccepted(pins: Digest, { ledger, keyring }: Judging): Promise<boolean> {
  for (const jws of await ledger.receipts.ofPins(pins)) {
    const receipt = await verifyReceipt(keyring, jws).catch(() => undefined);
    if (receipt === undefined || receipt.status !== 'success' || receipt.tool !== 'countersign.accept_pins') continue;
    if (receipt.actionId.startsWith(pinsReceiptPrefix(pins))) return true;
  }
  return false;
}

/** What was done before may still be looked up and verified. */
function refusing(tool: Tool, error: CountersignError): Tool {
  const refuse = (): Promise<never> => Promise.reject(error);
  const refused: Tool = { ...tool, preview: refuse, execute: refuse };
  delete refused.describe;
  return refused;
}

function notAccepted(tool: string, pins: Digest): CountersignError {
  return new CountersignError('TOOL_CHANGED', `Nobody has signed for the pins of ${tool} as they are in the file.`, {
    field: 'pins',
    expected: `a signed command that accepts ${pins}`,
    fix: `An operator can accept them with countersign mcp pin ${tool} --as CREDENTIAL --reason WHY, and restart the workers.`,
  });
}
