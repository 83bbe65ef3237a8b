/**
 * Renders the Helm chart with its default values into deploy/kubernetes/, for those who run no Helm and for the tests, which judge what comes
 * out: `HELM=/path/to/helm npm run chart`. The digest in its first lines says of which chart it is.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CHART, chartDigest, RENDERED } from './chart.js';

/** Those that the values leave to a cluster. */
const KUBERNETES = '1.33.0';

const args = ['template', 'countersign', CHART, '--namespace', 'countersign', '--kube-version', KUBERNETES];
const manifests = execFileSync(process.env['HELM'] ?? 'helm', args, { encoding: 'utf8' });
mkdirSync(path.dirname(RENDERED), { recursive: true });
writeFileSync(
  RENDERED,
  `# Made from deploy/helm/countersign by npm run chart, with its default values. Edit that, not this.\n# chart ${chartDigest()}\n${manifests}`,
);
