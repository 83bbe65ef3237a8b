/** The operator's own keys: read and checked, and never signed with. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { asCountersignError } from '../../action/errors.js';
import { variable } from '../../environment.js';
import { loadPayloadKeys } from '../../privacy/payload-keys.js';
import { parseTrailKeys } from '../../trail/keys.js';
import { loadKeyring, readKeyFile, type Keyring } from '../../trust/index.js';
import type { Guarantee } from '../guarantee.js';
import { broken, doesNotApply, holds, type GuaranteeVerdict } from '../verdict.js';
import type { World } from '../world.js';

/** Without making any, as `countersign dev` does. Undefined where there are none. @throws CountersignError KEYS_* */
async function operatorsKeyring({ operator }: World['parts']): Promise<Keyring | undefined> {
  const { env, developmentKeys } = operator;
  if (variable('COUNTERSIGN_KEYS', env) !== undefined || variable('COUNTERSIGN_KEYS_FILE', env) !== undefined)
    return loadKeyring({ env });
  return existsSync(developmentKeys) ? readKeyFile(developmentKeys, { production: false }) : undefined;
}

async function keysAreGood({ parts }: World): Promise<GuaranteeVerdict> {
  let keyring: Keyring | undefined;
  try {
    keyring = await operatorsKeyring(parts);
  } catch (thrown) {
    const { message, expected = '', fix = '' } = asCountersignError(thrown);
    return broken(`The keys cannot be used: ${message}.`, fix === '' ? `Expected: ${expected}.` : fix);
  }
  if (keyring === undefined)
    return doesNotApply('No keys are given here: set COUNTERSIGN_KEYS_FILE to have them checked.');
  const { sign, verify } = keyring;
  const missing = (['issuer', 'grant', 'receipt', 'tool'] as const).filter((role) => verify[role].size === 0);
  if (missing.length > 0) {
    return broken(
      `There is no key for ${missing.join(', ')}: what others sign with it cannot be verified.`,
      'Add its public key: `countersign keys public` prints them.',
    );
  }
  const deciding = [sign.grant, sign.receipt].filter((key) => key !== undefined).length;
  if (deciding === 1) {
    return broken(
      'There is a private key for one of grant and receipt, and not for the other: no worker starts with half of them.',
      'Give both to workers that decide, and neither to those that only touch tools: `countersign keys extract`.',
    );
  }
  const many = Object.entries(verify).filter(([, keys]) => keys.size > 1);
  const rotating =
    many.length === 0
      ? ''
      : ` While keys are rotated, these roles have several: ${many.map(([role]) => role).join(', ')}.`;
  return holds(`The keys are Ed25519, one purpose each, and complete.${rotating}`);
}

/** The receipt key that signs today must be one that auditors still believe. */
async function publicKeysAreGood({ parts }: World): Promise<GuaranteeVerdict> {
  const { publicKeys } = parts;
  if (publicKeys === undefined)
    return doesNotApply('No file of public keys was named (--public-keys): auditors’ keys are not compared.');
  try {
    const [{ periods }, keyring] = await Promise.all([
      readFile(publicKeys, 'utf8').then((text) => parseTrailKeys(text, publicKeys)),
      operatorsKeyring(parts),
    ]);
    const now = new Date().toISOString();
    const signing = keyring?.sign.receipt?.kid ?? [...(keyring?.verify.receipt.keys() ?? [])][0];
    if (signing === undefined) return doesNotApply('No receipt key is given here, so there is nothing to compare.');
    const period = periods.get(signing);
    if (period === undefined)
      return broken('The receipt key of the workers is not among the public keys.', `Add it to ${publicKeys}.`);
    const { notBefore, notAfter, revokedAt } = period;
    const instant = (text: string): number => new Date(text).getTime();
    if (revokedAt !== undefined && instant(revokedAt) <= instant(now))
      return broken(
        `The receipt key of the workers was revoked at ${revokedAt}.`,
        'Give the workers a new receipt key, first in its list.',
      );
    if (notAfter !== undefined && instant(notAfter) <= instant(now))
      return broken(
        `The receipt key of the workers expired at ${notAfter}.`,
        'Give the workers a new receipt key, first in its list.',
      );
    if (notBefore !== undefined && instant(notBefore) > instant(now))
      return broken(
        `The receipt key of the workers is good only from ${notBefore}.`,
        'Let the workers sign with the key before it until then.',
      );
    return holds('The receipt key of the workers is among the public keys, and good now.');
  } catch (thrown) {
    const { message, fix = '' } = asCountersignError(thrown, 'KEYS_INVALID');
    return broken(`The public keys cannot be used: ${message}`, fix);
  }
}

async function payloadKeysAreGood({ parts }: World): Promise<GuaranteeVerdict> {
  const { env, config } = parts.operator;
  const { payloads, redaction } = config.privacy ?? {};
  const named = [payloads?.keysFile, redaction?.keysFile].filter((file) => file !== undefined);
  const given = variable('COUNTERSIGN_PAYLOAD_KEYS_FILE', env) ?? variable('COUNTERSIGN_PAYLOAD_KEYS', env);
  if (named.length === 0 && given === undefined) return doesNotApply('The config encrypts and redacts nothing.');
  try {
    if (given !== undefined) await loadPayloadKeys({ env });
    for (const file of named) await loadPayloadKeys({ env: {}, file });
    return holds('The keys that encrypt and redact can be used.');
  } catch (thrown) {
    const { message, fix = '' } = asCountersignError(thrown);
    return broken(`The keys that encrypt and redact cannot be used: ${message}`, fix);
  }
}

export const KEYS: readonly Guarantee[] = [
  {
    id: 'keys-are-good',
    family: 'keys',
    promise: 'The keys are of the right kind, each for one purpose, and complete.',
    check: keysAreGood,
  },
  {
    id: 'public-keys-are-good',
    family: 'keys',
    promise: 'Auditors have the key that signs receipts, neither expired nor revoked.',
    check: publicKeysAreGood,
  },
  {
    id: 'payload-keys-are-good',
    family: 'keys',
    promise: 'The keys that encrypt and redact can be used.',
    check: payloadKeysAreGood,
  },
];
