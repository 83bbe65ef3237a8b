/** Reads the payloads of a history as this client's own data converter would. */
import type { Client } from '@temporalio/client';
import type { Payload } from '@temporalio/common';

export type Decode = (payloads: readonly Payload[]) => Promise<readonly unknown[]>;

/** @throws Error of the decoder where a payload is of a codec or an encoding that the client does not have */
export function decoderOf({ options }: Pick<Client, 'options'>): Decode {
  const { payloadCodecs, payloadConverter } = options.loadedDataConverter;
  return async (payloads) => {
    let decoded = [...payloads];
    for (const codec of payloadCodecs.toReversed()) decoded = await codec.decode(decoded);
    return decoded.map((payload) => payloadConverter.fromPayload(payload));
  };
}
