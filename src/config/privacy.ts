/** The member `privacy` of the config: what of an action can be read where. */
import path from 'node:path';
import { z } from 'zod';
import { isThisMachine } from '../http/addresses.js';
import type { PayloadsConfig } from '../privacy/data-converter.js';
import type { RedactionConfig, RedactionRules } from '../privacy/redaction-rules.js';
import { isPointer } from '../tools/http/pointer.js';
import { nonEmpty } from './schema.js';

export interface PrivacyConfig {
  /** Encrypts everything that passes through Temporal. The same for workers and gateways. Default: with the keys of the environment, else not. */
  readonly payloads?: PayloadsConfig;
  /** What is never recorded for good, nor shown to people. It wants payload keys, because the values themselves pass through Temporal. Default: nothing. */
  readonly redaction?: RedactionConfig;
  /** Lets people decrypt in the Temporal UI, through the gateway's `/codec`. Default: nobody can. */
  readonly codecServer?: CodecServerConfig;
}

export interface CodecServerConfig {
  /** Of the Temporal UI: `https://temporal.acme.example`. */
  readonly origins: readonly string[];
  /** Whoever has one of them may decrypt, what is of any tenant. Default `platform-auditor`. */
  readonly roles?: readonly string[];
}

export const DEFAULT_DECRYPT_ROLES: readonly string[] = ['platform-auditor'];

const ORIGIN = 'an origin of https (or http, on this machine), such as https://temporal.acme.example';

function pointersSchema(example: string): z.ZodType<readonly string[]> {
  const isOne = (text: string): boolean => text !== '' && isPointer(text);
  const pointer = z.string().refine(isOne, { error: `a JSON pointer, such as ${example}` });
  return z.array(pointer, { error: 'a list of JSON pointers' });
}

export const privacySchema = z.strictObject({
  payloads: z
    .strictObject({
      keysFile: nonEmpty('the path of a file of payload keys').optional(),
      plain: z.enum(['refuse', 'accept']).optional(),
    } satisfies Record<keyof PayloadsConfig, z.ZodType>)
    .optional(),
  redaction: z
    .strictObject({
      keysFile: nonEmpty('the path of a file with a key for redaction'),
      tools: z.record(
        z.string(),
        z.strictObject({
          fields: z.array(nonEmpty('the name of a column or member'), { error: 'a list of names' }).optional(),
          input: pointersSchema('/params/*').optional(),
          subject: pointersSchema('/where/id').optional(),
        } satisfies Record<keyof RedactionRules, z.ZodType>),
        { error: 'rules by the names of tools' },
      ),
    } satisfies Record<keyof RedactionConfig, z.ZodType>)
    .optional(),
  codecServer: z
    .strictObject({
      origins: z.array(z.string({ error: ORIGIN }).refine(isOrigin, { error: ORIGIN }), { error: 'a list of origins' }),
      roles: z.array(nonEmpty('the name of a role'), { error: 'a list of roles' }).optional(),
    } satisfies Record<keyof CodecServerConfig, z.ZodType>)
    .optional(),
} satisfies Record<keyof PrivacyConfig, z.ZodType>);

function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, origin } = new URL(text);
  return origin === text && (protocol === 'https:' || (protocol === 'http:' && isThisMachine(hostname)));
}

/** The same, with paths that do not depend on where the process runs. */
export function besideConfig(folder: string, privacy: PrivacyConfig): PrivacyConfig {
  const { payloads, redaction } = privacy;
  const keysFile = payloads?.keysFile;
  return {
    ...privacy,
    ...(keysFile === undefined ? {} : { payloads: { ...payloads, keysFile: path.resolve(folder, keysFile) } }),
    ...(redaction === undefined
      ? {}
      : { redaction: { ...redaction, keysFile: path.resolve(folder, redaction.keysFile) } }),
  };
}
