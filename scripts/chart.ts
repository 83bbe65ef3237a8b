/** Where the Helm chart is, where it is rendered to, and by which digest the two are known to belong together. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
export const CHART = path.join(root, 'deploy/helm/countersign');
export const RENDERED = path.join(root, 'deploy/kubernetes/countersign.yaml');

/** Over the names and contents of its files. */
export function chartDigest(): string {
  const hash = createHash('sha256');
  const files = readdirSync(CHART, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const file of files.map(({ parentPath, name }) => path.join(parentPath, name)).sort()) {
    hash
      .update(`${path.relative(CHART, file)}\0`)
      .update(readFileSync(file))
      .update('\0');
  }
  return `sha256:${hash.digest('hex')}`;
}
