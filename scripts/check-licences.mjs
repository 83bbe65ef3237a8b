/** Refuses a dependency whose licence is none that we may ship, or, of what only development needs, none that we may use. From the lockfile alone. */
import { readFileSync } from 'node:fs';

/** SPDX. Nothing here asks more than that its text and names are kept. */
const SHIPPED = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'MIT-0',
  'Unlicense',
  'Zlib',

  // Of data, not of code: caniuse-lite.
  'CC-BY-4.0',
]);
/** Weak copyleft and older texts: in no package of ours. */
const DEVELOPMENT = new Set([
  ...SHIPPED,
  'AFL-2.1',
  'Artistic-2.0',
  'CC0-1.0',
  'CC-BY-3.0',
  'MPL-2.0',
  'PSF-2.0',
  'Python-2.0',
  'WTFPL',
]);
/** Read by hand, because their metadata name none. */
const BY_HAND = {
  // Its LICENSE file.
  unionfs: 'Unlicense',
  // MIT, moving to Apache-2.0, and CC-BY-4.0 for documentation.
  '@modelcontextprotocol/server-everything': '(MIT AND Apache-2.0 AND CC-BY-4.0)',
  '@modelcontextprotocol/server-filesystem': '(MIT AND Apache-2.0 AND CC-BY-4.0)',
  '@modelcontextprotocol/server-memory': '(MIT AND Apache-2.0 AND CC-BY-4.0)',
};

/** An SPDX expression of one level: all of `AND`, one of `OR`. Anything else is refused. */
function allows(allowed, expression) {
  const inner = expression.replace(/^\((.*)\)$/, '$1');
  if (inner.includes(' OR ') && !inner.includes(' AND ')) return inner.split(' OR ').some((one) => allowed.has(one));
  return inner.split(' AND ').every((one) => allowed.has(one));
}

const { packages } = JSON.parse(readFileSync(process.argv[2] ?? 'package-lock.json', 'utf8'));
const problems = [];
let checked = 0;
for (const [folder, { license, dev, link }] of Object.entries(packages)) {
  const name = folder.split('node_modules/').at(-1);
  if (name === '' || link === true) continue;
  checked++;
  const expression = BY_HAND[name] ?? license;
  const allowed = dev === true ? DEVELOPMENT : SHIPPED;
  if (typeof expression !== 'string' || !allows(allowed, expression)) {
    problems.push(`${name}: ${expression ?? 'no licence'}${dev === true ? ' (development)' : ''}`);
  }
}
if (problems.length > 0) {
  process.stderr.write(
    `These licences are not among those that scripts/check-licences.mjs allows:\n${problems.join('\n')}\n`,
  );
  process.exitCode = 1;
} else {
  process.stdout.write(`${checked} packages, all of an allowed licence\n`);
}
