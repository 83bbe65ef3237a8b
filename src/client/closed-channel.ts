/**
 * A call on a closed connection is answered, never thrown.
 *
 * The Temporal client repeats a failed call from a timer. grpc-js throws "Channel has been shut down" from that timer when the connection
 * was closed in the meantime, and nothing can catch it there: the process would die.
 */
import { InterceptingCall, Metadata, status, type Interceptor } from '@grpc/grpc-js';

type Call = ConstructorParameters<typeof InterceptingCall>[0];

/** What a call says that met a closed connection. Its status is CANCELLED, which is not tried again. */
const CLOSED = 'The connection to Temporal was closed before the call was answered.';

/** To be the innermost interceptor: it stands between the retries and the channel. */
export const answerOnClosedChannel: Interceptor = (options, nextCall) => {
  try {
    return new InterceptingCall(nextCall(options));
  } catch (error) {
    // Also thrown of a missing method or a wrong option: those are faults of a program, and throw where the call is made.
    if (!(error instanceof Error && /shut ?down/i.test(error.message))) throw error;
    return new InterceptingCall(cancelledCall());
  }
};

/** A call that was never sent: it ends with CANCELLED as soon as it is started. */
function cancelledCall(): Call {
  return {
    start: (_metadata, listener) => {
      queueMicrotask(() => {
        listener?.onReceiveMessage?.(null);
        listener?.onReceiveStatus?.({ code: status.CANCELLED, details: CLOSED, metadata: new Metadata() });
      });
    },
    sendMessage: () => {},
    sendMessageWithContext: () => {},
    startRead: () => {},
    halfClose: () => {},
    cancelWithStatus: () => {},
    getPeer: () => 'closed',
    getAuthContext: () => null,
  };
}
