/** Planted: an order without an answer is sent again, though it may have arrived. Loaded before a worker of a test run. */
import { Wire } from '../../src/http/wire.js';
import { replace } from './replace.js';

replace(
  Wire.prototype,
  'send',
  (send) =>
    function (this: Wire, request, signal) {
      const first = send.call(this, request, signal);
      return request.method === 'POST' ? first.catch(() => send.call(this, request, signal)) : first;
    },
);
