/** Planted: every order leaves twice, the second time under a key of its own. */
import { Wire } from '../../src/http/wire.js';
import { replace } from './replace.js';

export function doubleEffect(): () => void {
  return replace(
    Wire.prototype,
    'send',
    (send) =>
      async function (this: Wire, request, signal) {
        const key = request.headers['idempotency-key'];
        if (request.method === 'POST' && key !== undefined) {
          const another = { 'idempotency-key': key.replace(/"?$/, '-again"') };
          await send.call(this, { ...request, headers: { ...request.headers, ...another } }, signal);
        }
        return send.call(this, request, signal);
      },
  );
}
