/**
 * The calls of one connection. Closing the connection answers all of them, and a call on a closed connection is answered, never thrown.
 *
 * The Temporal client repeats a failed call from a timer. grpc-js throws "Channel has been shut down" from that timer when the connection
 * was closed in the meantime, and nothing can catch it there: the process would die. It also lets a call that was sent before the close go
 * on until its deadline.
 */
import { InterceptingCall, Metadata, status, type Interceptor } from '@grpc/grpc-js';

type Call = ConstructorParameters<typeof InterceptingCall>[0];

/** What a call says that met a closed connection. Its status is CANCELLED, which is not tried again. */
export const CLOSED = 'The connection to Temporal was closed before the call was answered.';

export class OpenCalls {
  readonly #open = new Set<InterceptingCall>();

  /** To be the innermost interceptor: it stands between the retries and the channel. */
  readonly interceptor: Interceptor = (options, nextCall) => {
    let next: Call;
    try {
      next = nextCall(options);
    } catch (error) {
      // Also thrown of a missing method or a wrong option: those are faults of a program, and throw where the call is made.
      if (!(error instanceof Error && /shut ?down/i.test(error.message))) throw error;
      return new InterceptingCall(cancelledCall());
    }
    const call = new InterceptingCall(next, {
      start: (metadata, _listener, start) => {
        this.#open.add(call);
        start(metadata, {
          onReceiveStatus: (ended, report) => {
            this.#open.delete(call);
            report(ended);
          },
        });
      },
    });
    return call;
  };

  /** Ends every call that is not answered yet with CANCELLED. */
  cancel(): void {
    for (const call of this.#open) call.cancelWithStatus(status.CANCELLED, CLOSED);
  }
}

/**
 * A call that was never sent: it ends with CANCELLED soon after it is started. Not in a microtask: a program that repeats its calls without
 * a pause would keep its own timers and sockets from ever being served.
 */
function cancelledCall(): Call {
  return {
    start: (_metadata, listener) => {
      setImmediate(() => {
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
