/** `npm run site`: builds the documentation into dist-site/; with `--serve`, shows it at http://127.0.0.1:4173/. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildSite } from './build.js';
import { SiteError } from './failure.js';
import { serveSite } from './serve.js';

const PORT = 4173;
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { serve: { type: 'boolean' }, port: { type: 'string' } } });
  const began = Date.now();
  const out = path.join(root, 'dist-site');
  const built = await buildSite({ root, out, say: (what) => process.stdout.write(`site: ${what}\n`) });
  const seconds = ((Date.now() - began) / 1000).toFixed(1);
  process.stdout.write(
    `site: dist-site/ has ${built.pages} pages, ${built.sources} files of the repository and ${built.pictures} pictures; ${built.links} links lead somewhere (${seconds} s)\n`,
  );
  if (values.serve !== true) return;
  const { url } = await serveSite(out, Number(values.port ?? PORT));
  process.stdout.write(`site: ${url} (Ctrl-C ends it)\n`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof SiteError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
