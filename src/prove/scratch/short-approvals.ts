/** The operator's policies with less time for people to decide, and nothing else changed: so that it can be seen what happens when it is over. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { isScalar, parseDocument, visit } from 'yaml';
import { parseSeconds } from '../../action/duration.js';
import { bundleFromFiles, type PolicyBundle } from '../../policy/bundle.js';
import { LIMITS_FILE } from '../../policy/limits/limit.js';

/** `@approval("…")` of Cedar. A text with an escape in it is left alone: no role and no option needs one. */
const ANNOTATION = /(@approval\s*\(\s*")([^"\\]*)("\s*\))/g;
const AT_LIMIT = /^(approve by +)(.*)$/s;

/** @throws CountersignError POLICY_INVALID where the texts are not understood after all: then nothing is tried with them */
export function withShortApprovals({ files }: PolicyBundle, seconds: number): PolicyBundle {
  return bundleFromFiles(
    Object.fromEntries(
      Object.entries(files).map(([name, text]): [string, string] => {
        if (name.endsWith('.cedar')) {
          const shorter = (_: string, before: string, terms: string, after: string): string =>
            `${before}${shortened(terms, seconds)}${after}`;
          return [name, text.replaceAll(ANNOTATION, shorter)];
        }
        return [name, name === LIMITS_FILE ? shortLimits(text, seconds) : text];
      }),
    ),
  );
}

/** As a folder, for a worker. */
export async function writeBundle(folder: string, { files }: PolicyBundle): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(folder, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}

function shortLimits(text: string, seconds: number): string {
  const document = parseDocument(text);
  visit(document, {
    Pair(_, { key, value }) {
      if (!isScalar(key) || key.value !== 'atLimit' || !isScalar(value)) return;
      const [, before, terms] = AT_LIMIT.exec(String(value.value)) ?? [];
      if (before !== undefined && terms !== undefined) value.value = `${before}${shortened(terms, seconds)}`;
    },
  });
  return document.toString();
}

/** What would come after the time is over, a reminder or an escalation, cannot be asked for any more. A time that is shorter already stays. */
function shortened(terms: string, seconds: number): string {
  const each = terms.split(';').map((one) => {
    const [roles = '', ...options] = one.split(',');
    const own = parseSeconds(/(?:^|,)\s*ttl\s*=\s*([^,]*?)\s*(?:,|$)/.exec(options.join(','))?.[1] ?? '');
    if (own !== undefined && own <= seconds) return one;
    const kept = options.filter((option) => !/^\s*(?:ttl|remind|escalate)\s*=/.test(option));
    return [roles, ...kept, ` ttl=${seconds}s`].join(',');
  });
  return each.join(';');
}
