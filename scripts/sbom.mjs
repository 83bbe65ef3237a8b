/**
 * Writes the bill of materials of what is shipped to stdout (CycloneDX, by `npm sbom`): `npm run -s sbom > sbom.json`. `npm sbom --omit dev` leaves out what is
 * needed by development too, so the components are chosen here, by what the lockfile says of each.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
/** `name@version`, as components are referred to. */
const shipped = new Set(
  Object.entries(packages)
    .filter(([folder, { dev, devOptional }]) => folder !== '' && dev !== true && devOptional !== true)
    .map(([folder, { version }]) => `${folder.split('node_modules/').at(-1)}@${version}`),
);
const args = ['sbom', '--sbom-format', 'cyclonedx', '--sbom-type', 'application', '--package-lock-only'];
const bom = JSON.parse(execFileSync('npm', args, { encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 }));
const root = bom.metadata.component['bom-ref'];
const isShipped = (ref) => ref === root || shipped.has(ref);
bom.components = bom.components.filter((component) => isShipped(component['bom-ref']));
bom.dependencies = bom.dependencies
  .filter(({ ref }) => isShipped(ref))
  .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter(isShipped) }));
process.stdout.write(`${JSON.stringify(bom, null, 2)}\n`);
