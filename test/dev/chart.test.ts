/** The Helm chart: what it renders to says what the program reads, and gives no more than it needs. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { CHART, chartDigest, RENDERED } from '../../scripts/chart.js';
import { VARIABLES } from '../../src/environment.js';
import { ROOT } from '../support/root.js';

interface Container {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: unknown }[];
  readonly securityContext: object;
  readonly lifecycle?: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
  readonly readinessProbe?: { readonly exec?: { command: readonly string[] }; readonly httpGet?: { path: string } };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
  readonly resources: { readonly requests: object; readonly limits: object };
}

interface Pod {
  readonly containers: readonly [Container];
  readonly volumes: readonly {
    readonly name: string;
    readonly secret?: { secretName: string; defaultMode?: number };
    readonly projected?: { defaultMode?: number };
  }[];
  readonly securityContext: object;
  readonly terminationGracePeriodSeconds?: number;
  readonly automountServiceAccountToken: boolean;
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly replicas?: number;
    readonly template?: { readonly metadata: { readonly labels: object }; readonly spec: Pod };
    readonly selector?: object;
    readonly policyTypes?: readonly string[];
    readonly ingress?: readonly { readonly from: readonly object[] }[];
  };
}

const rendered = await readFile(RENDERED, 'utf8');
const manifests = parseAllDocuments(rendered).map((document) => document.toJS() as Manifest);
const pods = manifests.flatMap(({ kind, metadata, spec }) =>
  spec.template === undefined ? [] : [{ kind, name: metadata.name, pod: spec.template.spec }],
);
const templates = await Promise.all(
  ['_helpers.tpl', 'worker.yaml', 'gateway.yaml', 'setup.yaml', 'network-policy.yaml'].map((file) =>
    readFile(path.join(CHART, 'templates', file), 'utf8'),
  ),
);
const config = await readFile(path.join(ROOT, 'docker/countersign.config.mjs'), 'utf8');

test('what is rendered is of the chart as it is: `npm run chart`', () => {
  expect(rendered).toContain(`# chart ${chartDigest()}\n`);
});

test('two workers, two gateways and the setup before them; a budget of disruptions for each, and a service for the gateway', () => {
  expect(manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort()).toEqual([
    'Deployment countersign-gateway',
    'Deployment countersign-worker',
    'Job countersign-setup',
    'NetworkPolicy countersign-all',
    'NetworkPolicy countersign-gateway',
    'PodDisruptionBudget countersign-gateway',
    'PodDisruptionBudget countersign-worker',
    'Service countersign-gateway',
  ]);
  for (const { spec } of manifests.filter(({ kind }) => kind === 'Deployment')) expect(spec.replicas).toBe(2);
});

test('the version and the image are those of package.json', async () => {
  const { version } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const chart = parse(await readFile(path.join(CHART, 'Chart.yaml'), 'utf8')) as Record<string, string>;
  expect([chart['version'], chart['appVersion']]).toEqual([version, version]);
  for (const { pod } of pods) expect(pod.containers[0].image).toBe(`countersign:${version}`);
});

describe.each(pods)('$kind $name', ({ pod }) => {
  const [container] = pod.containers;

  test('runs as nobody in particular, on a file system that cannot be written, without a token of the cluster', () => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000 });
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(Object.keys(container.resources).sort()).toEqual(['limits', 'requests']);
  });

  test('has every secret as a file of a Secret that it names, and reads each that is mounted', () => {
    const mounts = container.volumeMounts.filter(({ name }) => name !== 'tmp');
    expect(mounts.every(({ readOnly }) => readOnly === true)).toBe(true);
    expect(container.volumeMounts.map(({ name }) => name).sort()).toEqual(pod.volumes.map(({ name }) => name).sort());
    for (const { name, value } of container.env) {
      expect(value).toBeDefined();
      if (!/SECRET|TOKEN|KEYS|_URL_FILE|API_KEY|DATABASE|PASSWORD/.test(name)) continue;
      expect(name).toMatch(/_FILE$/);
      expect(mounts.some(({ mountPath }) => value?.startsWith(`${mountPath}/`))).toBe(true);
    }
  });

  test('runs a command of the program', () => {
    expect(container.command.slice(0, 2)).toEqual(['node', 'dist/src/cli/main.js']);
    expect(['worker', 'gateway', 'setup']).toContain(container.command[2]);
  });
});

test('every variable, whatever the values, is one that the program or the config of the image reads', () => {
  const named = templates.flatMap((text) =>
    [...text.matchAll(/name: ([A-Z][A-Z_]+)\b/g)].map(([, name]) => name as string),
  );
  expect(named.length).toBeGreaterThan(15);
  expect(named.filter((name) => !(name in VARIABLES) && !config.includes(name))).toEqual([]);
});

test('a worker is ready when it polls, and a gateway when Temporal and the ledger answer', () => {
  const probes = new Map(pods.map(({ name, pod }) => [name, pod.containers[0].readinessProbe]));
  expect(probes.get('countersign-worker')?.exec?.command).toEqual([
    'node',
    'dist/src/cli/main.js',
    'doctor',
    '--this-worker',
  ]);
  expect(probes.get('countersign-gateway')?.httpGet).toEqual({ path: '/readyz', port: 'http' });
});

test('worker and gateway have keys of their own, that only they may read', () => {
  const keys = pods.flatMap(({ name, pod }) =>
    pod.volumes
      .filter((volume) => volume.name === 'keys')
      .map(({ secret }) => [name, secret?.secretName, secret?.defaultMode]),
  );
  expect(keys).toEqual([
    ['countersign-gateway', 'countersign-gateway-keys', 0o400],
    ['countersign-worker', 'countersign-worker-keys', 0o400],
  ]);
});

test('what a config reads beside that is as closed as the keys, whatever it is, for workers and gateways', () => {
  const projected = pods.flatMap(({ pod }) =>
    pod.volumes.flatMap(({ projected: one }) => (one === undefined ? [] : [one])),
  );
  expect(projected).toMatchObject([{ defaultMode: 0o400 }]);
  for (const text of templates.filter((one) => one.includes('projected:')))
    expect(text).toMatch(/projected:\n(?: +#.*\n)+ +defaultMode: 256\n/);
  expect(templates.filter((one) => one.includes('projected:'))).toHaveLength(2);
});

test('a gateway is sent nothing more once it takes nothing more, and has its time after that', () => {
  const gateway = pods.find(({ name }) => name === 'countersign-gateway')?.pod;
  const [command, seconds] = gateway?.containers[0].lifecycle?.preStop.exec.command ?? [];
  expect(command).toBe('sleep');
  // It gives requests fifteen.
  expect(gateway?.terminationGracePeriodSeconds).toBeGreaterThan(Number(seconds) + 15);
});

test('nobody comes in but to the gateway, and there from the ingress only', () => {
  const [all, gateway] = manifests.filter(({ kind }) => kind === 'NetworkPolicy');
  expect(all?.spec).toMatchObject({ policyTypes: ['Ingress', 'Egress'] });
  expect(all?.spec.ingress).toBeUndefined();
  expect(gateway?.spec.ingress?.[0]?.from).toHaveLength(1);
});
