/** A Temporal connection whose failures say what to do, and which can be closed at any time. */
import { status } from '@grpc/grpc-js';
import {
  Client,
  Connection,
  defaultGrpcRetryOptions,
  isGrpcServiceError,
  makeGrpcRetryInterceptor,
  ServiceError,
} from '@temporalio/client';
import { asCountersignError, CountersignError } from '../action/errors.js';
import { withoutUndefined } from '../action/json.js';
import type { TemporalSecurity, TemporalSettings } from '../environment.js';
import { readSecurity } from '../temporal-security.js';
import { tracedStarts } from '../telemetry/temporal-headers.js';
import type { PayloadEncryption } from '../privacy/data-converter.js';
import { CLOSED, OpenCalls } from './open-calls.js';

export interface OpenConnection {
  readonly connection: Connection;
  /** Calls that are not answered yet end with CANCELLED. */
  readonly close: () => Promise<void>;
}

/**
 * Connects; what could not be connected is closed. Every gRPC connection of ours is made here.
 *
 * @throws CountersignError CONFIG_INVALID: what proves this process to Temporal, or Temporal to it, cannot be used
 */
export async function openConnection(
  address: string,
  connectTimeoutMs = 5_000,
  { tls, apiKey }: TemporalSecurity = {},
): Promise<OpenConnection> {
  const security = await readSecurity(withoutUndefined({ address, tls, apiKey }));
  const calls = new OpenCalls();
  const connection = Connection.lazy({
    address,
    ...security,
    connectTimeout: connectTimeoutMs,
    interceptors: [makeGrpcRetryInterceptor(defaultGrpcRetryOptions()), calls.interceptor],
  });
  const close = (): Promise<void> => {
    calls.cancel();
    return connection.close();
  };
  try {
    await connection.ensureConnected();
    return { connection, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @throws CountersignError CONFIG_INVALID, TEMPORAL_UNAVAILABLE */
export async function connectTemporal(
  settings: TemporalSettings,
  encryption: PayloadEncryption,
): Promise<{ client: Client; close(): Promise<void> }> {
  try {
    const { connection, close } = await openConnection(settings.address, undefined, settings);
    const { namespace } = settings;
    const interceptors = { workflow: [tracedStarts] };
    return { client: new Client({ connection, namespace, interceptors, dataConverter: encryption.client }), close };
  } catch (error) {
    throw temporalUnavailable(settings.address, error);
  }
}

/** How gRPC's UNAUTHENTICATED and PERMISSION_DENIED are said: by grpc-js, and by the worker's native client. */
const REFUSED = /UNAUTHENTICATED|PERMISSION_DENIED|valid authentication credentials|not have permission/;

function refusalIn(error: unknown): Error | undefined {
  return causes(error).find(({ message }) => REFUSED.test(message));
}

/** Whether the server wants another API key or certificate than it was given. */
export function isRefused(error: unknown): boolean {
  return refusalIn(error) !== undefined;
}

/** A refusal for want of the right proof is no outage: trying again does not help. */
export function temporalUnavailable(address: string, error: unknown): CountersignError {
  if (error instanceof CountersignError) return error;
  const refusal = refusalIn(error);
  if (refusal !== undefined) {
    return new CountersignError('TEMPORAL_UNAVAILABLE', `Temporal at ${address} refuses: ${refusal.message}`, {
      field: 'TEMPORAL_API_KEY',
      expected: 'an API key or a client certificate that may use the namespace',
      fix: 'Check TEMPORAL_NAMESPACE, and the API key or client certificate (docs/production.md); a new key needs a restart.',
      cause: error,
    });
  }
  if (causes(error).some(({ message }) => message.includes(CLOSED))) {
    return new CountersignError('TEMPORAL_UNAVAILABLE', CLOSED, {
      fix: 'Connect again, and repeat the call with the same actionId: that is safe.',
      cause: error,
      // By somebody else: this process closed its connection, because it ends or no longer needs it.
      retryable: true,
    });
  }
  return new CountersignError(
    'TEMPORAL_UNAVAILABLE',
    `Temporal at ${address} did not answer: ${asCountersignError(error).message}`,
    {
      field: 'TEMPORAL_ADDRESS',
      expected: 'host:port of a Temporal frontend',
      fix: 'Start one with `countersign dev`, or set TEMPORAL_ADDRESS. Then propose again with the same actionId.',
      cause: error,
      retryable: true,
    },
  );
}

/** Status codes (https://grpc.io/docs/guides/status-codes/) under which the server did not answer the call. CANCELLED is that of a closed connection. */
const UNREACHED: ReadonlySet<number> = new Set([
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.RESOURCE_EXHAUSTED,
  status.UNAVAILABLE,
]);

/** An error and what it came from, the error first. */
export function causes(error: unknown): readonly Error[] {
  const chain: Error[] = [];
  for (let cause = error; cause instanceof Error; cause = cause.cause) chain.push(cause);
  return chain;
}

/** The gRPC status code somewhere in an error's chain of causes. */
export function grpcCode(error: unknown): number | undefined {
  return causes(error).find(isGrpcServiceError)?.code;
}

export function isUnreached(error: unknown): boolean {
  const code = grpcCode(error);
  return code === undefined ? error instanceof ServiceError : UNREACHED.has(code);
}
