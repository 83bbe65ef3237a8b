/** Opens what a process redacts with, and refuses rules that could not be kept. */
import { configInvalid } from '../action/errors-config.js';
import { isProduction } from '../environment.js';
import type { PayloadEncryption } from './data-converter.js';
import { loadPayloadKeys, requiredKeys } from './payload-keys.js';
import { Redaction, type Subjects } from './redaction.js';
import type { RedactionConfig } from './redaction-rules.js';

/**
 * @param tools the names of those that there are, where they are known
 * @throws CountersignError KEYS_MISSING, KEYS_INVALID; CONFIG_INVALID where rules are for a tool that is not there
 */
export async function openRedaction(
  rules: RedactionConfig | undefined,
  encryption: PayloadEncryption,
  subjects: Subjects,
  tools?: readonly string[],
): Promise<Redaction | undefined> {
  if (rules === undefined) return undefined;
  // A tool acts on the values themselves, so they are in histories.
  requiredKeys(encryption.keys);
  const unknown = Object.keys(rules.tools).find((name) => tools?.includes(name) === false);
  if (unknown !== undefined) {
    throw configInvalid(`privacy.redaction.tools.${unknown}`, `for one of the tools: ${tools?.join(', ')}`);
  }
  const keys = await loadPayloadKeys({ env: {}, file: rules.keysFile, production: isProduction() });
  return new Redaction(requiredKeys(keys), rules.tools, subjects, tools);
}
