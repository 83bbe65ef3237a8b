/** A Temporal connection whose failures say what to do. */
import { Client, Connection, isGrpcServiceError, ServiceError } from '@temporalio/client';
import { asCountersignError, CountersignError } from '../action/errors.js';
import type { TemporalSettings } from '../environment.js';

/** @throws CountersignError TEMPORAL_UNAVAILABLE */
export async function connectTemporal(settings: TemporalSettings): Promise<{ client: Client; close(): Promise<void> }> {
  try {
    const connection = await Connection.connect({ address: settings.address, connectTimeout: '5s' });
    return {
      client: new Client({ connection, namespace: settings.namespace }),
      close: () => connection.close(),
    };
  } catch (error) {
    throw temporalUnavailable(settings.address, error);
  }
}

export function temporalUnavailable(address: string, error: unknown): CountersignError {
  return new CountersignError(
    'TEMPORAL_UNAVAILABLE',
    `No Temporal server answers at ${address}: ${asCountersignError(error).message}`,
    {
      field: 'TEMPORAL_ADDRESS',
      expected: 'host:port of a Temporal frontend',
      fix: 'Start one with `countersign dev`, or set TEMPORAL_ADDRESS. Then propose again with the same actionId.',
      cause: error,
      retryable: true,
    },
  );
}

/** gRPC status codes (https://grpc.io/docs/guides/status-codes/) under which the server did not answer for itself. */
const UNREACHED: ReadonlySet<number> = new Set([4, 8, 14]);

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
