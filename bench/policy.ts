/**
 * What a decision costs: with 10 policies and with 1,000, sliced as the product does it and by Cedar with every policy, in turns in one run.
 * Three shapes of bundles: rules for a tool each, for a role each, and about a table each. The last has half of its rules about what no slice is
 * made by, rows: that is the worst case, where each rule has to be evaluated.
 */
import { ACTION_TYPES, type Facts } from '../src/action/decision.js';
import { newCedar } from '../src/policy/cedar.js';
import { evaluate, type Policy } from '../src/policy/index.js';
import { policyFromText } from '../src/testing/index.js';
import { say } from './stage.js';
import { median, round } from './statistics.js';

const FEW = 10;
const MANY = 1000;
const WARM_UP = 200;
const BATCHES = 15;
const PER_BATCH = 100;
const ALL = 'every policy';

const SHAPES: Readonly<Record<string, (i: number) => string>> = {
  tool: (i) =>
    `permit (principal in Countersign::Role::"clerk", action, resource == Countersign::Tool::"tool-${i}") when { context.rows < 100 }`,
  role: (i) => `permit (principal in Countersign::Role::"role-${i}", action, resource) when { context.rows < 100 }`,
  table: (i) => `forbid (principal, action, resource) when { context.targets.contains("table-${i}") }`,
  unsliceable: (i) =>
    i % 2 === 0
      ? `forbid (principal, action, resource) when { context.rows == ${i + 1000} }`
      : `forbid (principal, action, resource) when { context.targets.contains("table-${i}") }`,
};

export async function policy(args: readonly string[]): Promise<void> {
  const json = args.includes('--json');
  const result: Record<string, Record<string, number>> = {};
  for (const [shape, rule] of Object.entries(SHAPES)) {
    result[shape] = await measure(rule);
    if (json) continue;
    const { fewUs, manyUs, unslicedManyUs, manyToFew, toUnsliced } = result[shape];
    say(
      `${shape.padEnd(12)} ${FEW} policies ${fewUs} µs, ${MANY} policies ${manyUs} µs (${manyToFew} times); all of Cedar ${unslicedManyUs} µs, sliced is ${toUnsliced} of it`,
    );
  }
  console.log(JSON.stringify({ few: FEW, many: MANY, ...result }));
}

async function measure(rule: (i: number) => string) {
  const [few, many] = [bundle(FEW, rule), bundle(MANY, rule)];
  const compared = {
    few: () => evaluate(few, facts()),
    many: () => evaluate(many, facts()),
    unslicedFew: unsliced(few),
    unslicedMany: unsliced(many),
  };
  const times: Record<keyof typeof compared, number[]> = { few: [], many: [], unslicedFew: [], unslicedMany: [] };
  const names = Object.keys(compared) as (keyof typeof compared)[];
  for (const name of names) for (let i = 0; i < WARM_UP; i++) compared[name]();
  for (let batch = 0; batch < BATCHES; batch++) {
    for (const name of names) {
      const start = performance.now();
      for (let i = 0; i < PER_BATCH; i++) compared[name]();
      times[name].push(((performance.now() - start) * 1000) / PER_BATCH);
      // Others on the machine get their turn between batches, not within one.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  const ratio = (a: keyof typeof compared, b: keyof typeof compared): number =>
    round(median(times[a].map((us, batch) => us / (times[b][batch] as number))));
  return {
    manyToFew: ratio('many', 'few'),
    unslicedManyToFew: ratio('unslicedMany', 'unslicedFew'),
    toUnsliced: ratio('many', 'unslicedMany'),
    fewUs: round(median(times.few), 0),
    manyUs: round(median(times.many), 0),
    unslicedManyUs: round(median(times.unslicedMany), 0),
  };
}

function bundle(count: number, rule: (i: number) => string): Policy {
  const texts = Array.from({ length: count - 1 }, (_, i) => `@id("rule-${i}") ${rule(i)};`);
  const base = `@id("base") permit (principal in Countersign::Role::"clerk", action == Countersign::Action::"${ACTION_TYPES[1]}", resource);`;
  return policyFromText({ 'base.cedar': base, 'more.cedar': texts.join('\n') });
}

/** Cedar with the whole bundle parsed in advance: the same request, and the same check of it. */
function unsliced(of: Policy): () => unknown {
  const cedar = newCedar();
  const texts = Object.fromEntries(of.rules.map(({ id, text }) => [id, text]));
  cedar.preparsePolicySet(ALL, { staticPolicies: texts });
  cedar.preparseSchema(ALL, `${of.bundle.files['schema.cedarschema'] ?? ''}\ntype Limits = {};\ntype History = {};`);
  return () => {
    const { actionType: _, ...request } = of.request(facts());
    return cedar.statefulIsAuthorized({
      ...request,
      preparsedPolicySetId: ALL,
      preparsedSchemaName: ALL,
      validateRequest: true,
    });
  };
}

function facts(): Facts {
  return {
    agent: { id: 'bot', tenant: 'acme', roles: ['clerk', 'role-3'], scopes: ['*'] },
    actionType: 'WRITE',
    tool: { name: 'tool-3', kind: 'postgres', environment: 'production' },
    operation: 'update',
    preview: { rows: 1, targets: ['orders'], reads: [], schemaChange: false, sample: [], summary: '' },
    now: '2025-01-01T12:00:00.000Z',
  };
}
