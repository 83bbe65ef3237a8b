/** How every client and worker of ours converts what passes through Temporal: the one place where that is decided. */
import { fileURLToPath } from 'node:url';
import {
  DefaultFailureConverter,
  defaultDataConverter,
  type DataConverter,
  type LoadedDataConverter,
} from '@temporalio/common';
import type { Environment } from '../environment.js';
import { variable } from '../environment.js';
import { configInvalid } from '../action/errors-config.js';
import { EncryptingCodec, type PlainPayloads } from './payload-codec.js';
import { loadPayloadKeys, requiredKeys, type PayloadKeys } from './payload-keys.js';

/** The member `privacy.payloads` of the config. */
export interface PayloadsConfig {
  /** The file of the keys, relative to the config file. Default: COUNTERSIGN_PAYLOAD_KEYS_FILE, COUNTERSIGN_PAYLOAD_KEYS. */
  readonly keysFile?: string;
  /** Whether payloads that are not encrypted are refused, or accepted: while workflows that began before are open. Default `refuse`. */
  readonly plain?: PlainPayloads;
}

/** What encrypts, for one process. */
export class PayloadEncryption {
  /** Whether there are keys. Without, nothing is encrypted. */
  readonly on: boolean;
  readonly keys: PayloadKeys | undefined;
  readonly codec: EncryptingCodec;

  constructor(keys: PayloadKeys | undefined, plain?: PlainPayloads) {
    this.on = keys !== undefined;
    this.keys = keys;
    this.codec = new EncryptingCodec(keys, plain);
  }

  /** For those who look at what is there, encrypted or not. */
  get forReaders(): EncryptingCodec {
    return new EncryptingCodec(this.keys, 'accept');
  }

  /** For clients. */
  get client(): LoadedDataConverter {
    const failures = this.on ? { failureConverter: new DefaultFailureConverter({ encodeCommonAttributes: true }) } : {};
    return { ...defaultDataConverter, ...failures, payloadCodecs: [this.codec] };
  }

  /** For workers, whose failure converter is a file. */
  get worker(): DataConverter {
    const failures = this.on ? { failureConverterPath: FAILURE_CONVERTER } : {};
    return { ...failures, payloadCodecs: [this.codec] };
  }
}

const FAILURE_CONVERTER = fileURLToPath(new URL('failure-converter.cjs', import.meta.url));

/**
 * What the environment says, and before it nothing but a config that wants encryption: then there must be keys.
 *
 * @param config the config's `privacy`, of which `payloads` counts. Default: the environment alone
 * @throws CountersignError KEYS_MISSING, KEYS_INVALID, CONFIG_INVALID
 */
export async function payloadEncryption(
  env: Environment,
  config?: { readonly payloads?: PayloadsConfig },
): Promise<PayloadEncryption> {
  const { payloads } = config ?? {};
  const keys = await loadPayloadKeys({ env, file: payloads?.keysFile });
  const plain = plainOf(env) ?? payloads?.plain;
  return new PayloadEncryption(payloads === undefined ? keys : requiredKeys(keys), plain);
}

function plainOf(env: Environment): PlainPayloads | undefined {
  const text = variable('COUNTERSIGN_PLAIN_PAYLOADS', env);
  if (text === undefined || text === 'accept' || text === 'refuse') return text;
  throw configInvalid('COUNTERSIGN_PLAIN_PAYLOADS', '`accept` or `refuse`', 'the environment');
}
