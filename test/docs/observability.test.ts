/** docs/observability.md and ops/: the configs load, the tables are what the code has, and every query is PromQL over metrics that there are. */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parser } from '@prometheus-io/lezer-promql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/config.js';
import { ATTRIBUTE } from '../../src/telemetry/attributes.js';
import { METRICS, prometheusName, type Metric, type MetricName } from '../../src/telemetry/metric-names.js';
import { telemetrySettings } from '../../src/telemetry/settings.js';
import { ROOT } from '../support/root.js';
import { onSources, scratch, snippetsOf } from './support.js';

const read = (file: string): Promise<string> => readFile(path.join(ROOT, file), 'utf8');
const page = await read('docs/observability.md');
const rules = parse(await read('ops/prometheus/countersign.rules.yaml')) as { groups: readonly Group[] };
const boards = await Promise.all(
  (await readdir(path.join(ROOT, 'ops/grafana'))).map(async (name) => ({
    name,
    board: JSON.parse(await read(`ops/grafana/${name}`)) as Board,
  })),
);

interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}
interface Group {
  readonly name: string;
  readonly rules: readonly Rule[];
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}
interface Board {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
}

const allRules = rules.groups.flatMap((group) => group.rules);
const alerts = allRules.filter(({ alert }) => alert !== undefined);

/** Of Temporal's SDK (https://docs.temporal.io/references/sdk-metrics), and of Prometheus itself, with the labels that are used here. */
const OTHERS: Readonly<Record<string, readonly string[]>> = {
  temporal_workflow_task_schedule_to_start_latency_seconds_bucket: ['le'],
  temporal_activity_schedule_to_start_latency_seconds_bucket: ['le'],
  temporal_workflow_task_execution_failed_total: ['failure_reason'],
  up: ['job'],
};

type Series = readonly [name: string, labels: readonly string[]];

function seriesOf(name: MetricName): readonly Series[] {
  const { kind, attributes }: Metric = METRICS[name];
  const series = prometheusName(name);
  const labels = [...attributes, 'instance'];
  if (kind !== 'histogram') return [[series, labels]];
  return [
    [`${series}_bucket`, [...labels, 'le']],
    [`${series}_sum`, labels],
    [`${series}_count`, labels],
  ];
}

/** Every series that a query may name, with its labels. */
const SERIES: ReadonlyMap<string, readonly string[]> = new Map([
  ...Object.entries(OTHERS),
  ...allRules.flatMap(({ record }): Series[] => (record === undefined ? [] : [[record, ['slo']]])),
  ...(Object.keys(METRICS) as MetricName[]).flatMap(seriesOf),
]);

/** What is wrong with a query. */
function problemsIn(query: string): readonly string[] {
  // What Grafana puts in.
  const text = query.replaceAll(/\$__(rate_interval|range)/g, '5m');
  const problems: string[] = [];
  const known = new Set<string>();
  const labels: string[] = [];
  parser.parse(text).iterate({
    enter: ({ type, from, to, node }) => {
      const word = text.slice(from, to);
      if (type.isError) problems.push(`no PromQL at ${from}: ${word}`);
      if (type.name === 'Identifier' && node.parent?.name === 'VectorSelector') {
        const series = SERIES.get(word);
        if (series === undefined) problems.push(`no metric ${word}`);
        for (const label of series ?? []) known.add(label);
      }
      if (type.name === 'LabelName') labels.push(word);
    },
  });
  if (known.size === 0 && !/\bup\b|countersign_|countersign:/.test(text)) problems.push('no metric at all');
  return [...problems, ...labels.filter((label) => !known.has(label)).map((label) => `no label ${label}`)];
}

describe('a query', () => {
  const queries = [
    ...allRules.map(
      ({ record, alert, expr, labels }) => [`${alert ?? record} ${labels?.['slo'] ?? ''}`, expr] as const,
    ),
    ...boards.flatMap(({ board }) =>
      board.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const)),
    ),
  ];

  test('is PromQL over metrics and labels that the code has, each of them', () => {
    expect(queries.length).toBeGreaterThan(80);
    expect(queries.map(([of, query]) => [of, problemsIn(query)]).filter(([, problems]) => problems?.length)).toEqual(
      [],
    );
  });

  test.each([
    ['sum(rate(countersign_actions_total[5m])', 'no PromQL'],
    ['countersign_actions', 'no metric countersign_actions'],
    ['countersign_actions_total{agent="x"}', 'no label agent'],
    ['sum by (tenant) (countersign_holds)', 'no label tenant'],
  ])('%s would be found', (query, problem) => {
    expect(problemsIn(query).join('; ')).toContain(problem);
  });
});

describe('the rules', () => {
  test('alert in one of two ways, say why and what to do, and no two are the same', () => {
    const severities = alerts.map(({ labels }) => labels?.['severity']);
    expect(new Set(severities)).toEqual(new Set(['page', 'ticket']));
    const names = alerts.map(({ alert, labels }) => JSON.stringify([alert, labels]));
    expect(new Set(names).size).toBe(names.length);
    for (const { annotations = {} } of alerts) {
      expect(annotations['summary']).toMatch(/\.$/);
      const [file, anchor] = (annotations['runbook'] ?? '').split('#');
      expect(file).toBe('docs/observability.md');
      expect(page.toLowerCase()).toContain(`\n## ${anchor?.replaceAll('-', ' ')}\n`);
    }
  });

  test('are those that the page lists, each with its severity', () => {
    const listed = [...page.matchAll(/^\| `(Countersign\w+)` +\| (\w+) /gm)].map(([, name, severity]) => [
      name,
      severity,
    ]);
    const written = new Map(alerts.map(({ alert, labels }) => [alert, labels?.['severity']]));
    written.set('CountersignErrorBudgetBurn', 'both');
    expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(written));
  });

  test('have the objectives and the windows of the page', () => {
    const objectives = [...page.matchAll(/^\| `(\w+)` +\| .* \| (99\.?9?) % /gm)].map(([, slo, goal]) => [slo, goal]);
    expect(objectives).toHaveLength(3);
    for (const [slo, goal] of objectives) {
      const budget = Math.round((100 - Number(goal)) * 1000) / 100_000;
      const burning = alerts.filter(({ labels }) => labels?.['slo'] === slo).map(({ expr }) => expr);
      expect(burning.map((expr) => / > ([\d.]+) \* ([\d.]+)\nand /.exec(expr)?.slice(1).map(Number))).toEqual(
        [14.4, 6, 3, 1].map((rate) => [rate, budget]),
      );
    }
  });
});

describe('a dashboard', () => {
  test.each(boards)('$name is one that Grafana lays out as it is', ({ board }) => {
    expect(board).toMatchObject({ uid: expect.stringMatching(/^[\w-]{1,40}$/) as string, schemaVersion: 39 });
    const ids = board.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const cells = new Set<string>();
    for (const { title, type, gridPos, targets = [] } of board.panels) {
      const { x, y, w, h } = gridPos;
      expect([title, x + w <= 24, type === 'row' || targets.length > 0]).toEqual([title, true, true]);
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          expect([title, cells.has(`${column},${line}`)]).toEqual([title, false]);
          cells.add(`${column},${line}`);
        }
      }
    }
  });
});

describe('the page', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await scratch('observability');
    process.env['OTLP_TOKEN'] = 'a-token-of-the-collector';
  });
  afterAll(async () => {
    delete process.env['OTLP_TOKEN'];
    await rm(folder, { recursive: true, force: true });
  });

  test('has configs that say where telemetry goes', async () => {
    const settings = async (name: string) => {
      await writeFile(path.join(folder, name), onSources(snippetsOf(page).get(name) as string));
      const { telemetry } = await loadConfig(path.join(folder, name));
      return telemetrySettings('worker', telemetry, {});
    };
    expect(await settings('countersign.config.mjs')).toMatchObject({
      variables: {
        OTEL_EXPORTER_OTLP_ENDPOINT: 'https://otlp.acme.example',
        OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20a-token-of-the-collector',
        OTEL_TRACES_SAMPLER_ARG: '0.1',
        OTEL_METRIC_EXPORT_INTERVAL: '30000',
      },
    });
    expect(await settings('prometheus.config.mjs')).toMatchObject({
      variables: { OTEL_METRICS_EXPORTER: 'prometheus', OTEL_EXPORTER_PROMETHEUS_PORT: '9464' },
    });
  });

  test('names the version of the SDK that the code was tried with', async () => {
    const { devDependencies } = JSON.parse(await read('package.json')) as { devDependencies: Record<string, string> };
    const version = devDependencies['@opentelemetry/sdk-node'];
    expect(page).toContain(`npm install @opentelemetry/sdk-node@${version}\n`);
    expect(await read('src/telemetry/start.ts')).toContain(`npm install @opentelemetry/sdk-node@${version}\``);
  });

  test('lists every metric with its name in Prometheus and its attributes, and no other', () => {
    const listed = [
      ...page.matchAll(/^\| `(countersign[.\w]+)` +\| `(countersign_\w+)` +\| ([^|]+?) +\|[^|]+\| ([^|]+?) +\|$/gm),
    ];
    expect(listed.map(([, name, prometheus, attributes, help]) => [name, prometheus, attributes, `${help}.`])).toEqual(
      (Object.keys(METRICS) as MetricName[]).map((name) => {
        const { attributes, help }: Metric = METRICS[name];
        const named = attributes.map((attribute) => `\`${attribute}\``).join(', ') || 'none';
        return [name, prometheusName(name), named, help];
      }),
    );
  });

  test('lists every attribute of our spans, and no other', () => {
    const table = page.slice(page.indexOf('| attribute'), page.indexOf('Besides these'));
    const listed = [...table.matchAll(/^\| `([\w.]+)`/gm)].map(([, name]) => name as string);
    expect(listed.toSorted()).toEqual(Object.values<string>(ATTRIBUTE).toSorted());
  });

  test('has jobs by the names that the rules expect', () => {
    const { scrape_configs: jobs } = parse(snippetsOf(page).get('prometheus.yaml') as string) as {
      scrape_configs: readonly { job_name: string }[];
    };
    expect(jobs.map(({ job_name }) => job_name)).toEqual(['countersign-gateway', 'countersign-worker']);
  });
});
