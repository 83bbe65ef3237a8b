/** Planted: receipts are signed with a key that nobody attested. */
import { decodeJwt } from 'jose';
import type { ReceiptClaims } from '../../src/action/receipt.js';
import { Receipts } from '../../src/ledger/index.js';
import { generateKeyringFile, hashReceipt, parseKeyring, signReceipt } from '../../src/trust/index.js';
import { replace } from './replace.js';

export async function unsignedReceipt(): Promise<() => void> {
  const stranger = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'stranger');
  return replace(
    Receipts.prototype,
    'settle',
    (settle) =>
      function (this: Receipts, request) {
        const sign: typeof request.sign = async (link) => {
          const { jws } = await request.sign(link);
          const forged = await signReceipt(stranger, decodeJwt(jws) as unknown as ReceiptClaims);
          return { jws: forged, hash: hashReceipt(forged) };
        };
        return settle.call(this, { ...request, sign });
      },
  );
}
