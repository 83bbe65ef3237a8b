/** In whose name a client signs: the holder of a credential, or an agent whom a gateway attests for one thing at a time. */
import { CountersignError } from '../action/errors.js';
import type { Digest } from '../action/json.js';
import { peekCredential, signProposal, type Credential } from '../trust/index.js';
import type { Signer } from './proposals.js';

/** An agent whose credential is another one for each thing that is signed. */
export interface AttestedAgent {
  readonly id: string;
  readonly tenant: string;
  credentialFor(digest: Digest): Promise<Credential>;
}

/** Who signs, and how. Nothing is checked until then: reading needs no credential. */
export class Signing {
  readonly #holder: Credential | AttestedAgent | undefined;
  #who: { readonly tenant: string; readonly id: string } | undefined;

  constructor(holder: Credential | AttestedAgent | undefined) {
    this.#holder = holder;
  }

  /** @throws CountersignError AGENT_UNVERIFIED without a credential */
  readonly sign: Signer = async (digest) => {
    const holder = this.#held();
    return signProposal('credentialFor' in holder ? await holder.credentialFor(digest) : holder, digest);
  };

  /** @throws CountersignError AGENT_UNVERIFIED, KEYS_INVALID */
  get agent(): { readonly tenant: string; readonly id: string } {
    const holder = this.#held();
    this.#who ??= 'credentialFor' in holder ? holder : peekCredential(holder);
    return this.#who;
  }

  #held(): Credential | AttestedAgent {
    if (this.#holder !== undefined) return this.#holder;
    throw new CountersignError('AGENT_UNVERIFIED', 'To propose, an agent needs its credential.', {
      field: 'credential',
      expected: 'a credential made by `countersign agent create`',
      fix: 'Set COUNTERSIGN_AGENT to it or to its file, or pass `credential` to connect().',
    });
  }
}
