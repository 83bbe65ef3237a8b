/** Planted: an order without an answer is sent again, though it may have arrived. */
import { Wire } from '../../src/http/wire.js';
import { replace } from './replace.js';

export function sentAgain(): () => void {
  return replace(
    Wire.prototype,
    'send',
    (send) =>
      function (this: Wire, request, signal) {
        const first = send.call(this, request, signal);
        return request.method === 'POST' ? first.catch(() => send.call(this, request, signal)) : first;
      },
  );
}
