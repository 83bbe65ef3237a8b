/** The routes of the playground. A trial is a form like any other: of the person's own page, counted, and bounded. */
import { Hono, type Context } from 'hono';
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { z } from 'zod';
import { asCountersignError, CountersignError, type ErrorCode } from '../../../action/errors.js';
import { actionNotFound } from '../../../action/errors-not-found.js';
import { ACTION_ID_PATTERN } from '../../../action/proposal.js';
import type { ArchivedRecord } from '../../../ledger/index.js';
import type { GatewayEnv } from '../../auth/identity.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import type { GatewayDependencies } from '../../deps.js';
import { knownPolicies } from '../../policy/active-bundle.js';
import type { Bundles } from '../../policy/bundles.js';
import { digestText, given } from '../form-input.js';
import { page } from '../layout/layout.js';
import { Refusal } from '../layout/problem.js';
import { Empty, Notice } from '../components/parts.js';
import { TrialResult } from './decided.js';
import { PolicyHeading } from './heading.js';
import { Playground, type PlaygroundProps } from './playground.js';
import { AS_OF, MAX_FACTS, MAX_RULE, pastedQuestion, recordedQuestion } from './question.js';

/** Recorded actions to choose from. */
const RECENT = 8;
/** A trial costs a thread: it counts as so many requests. */
const COUNTS_AS = 10;

const NEW_RULE = `@id("my-rule")
@reason("{rows} rows in {environment} are looked at by a dba")
@approval("dba")
forbid (principal, action == Countersign::Action::"DELETE", resource)
when { context.rows > 0 };
`;

const trialSchema = z.object({
  digest: digestText,
  rule: z.string().max(64).optional(),
  text: z.string().max(MAX_RULE, `at most ${MAX_RULE} characters`).default(''),
  action: z.string().regex(ACTION_ID_PATTERN).optional(),
  asOf: z.enum(AS_OF).default('record'),
  facts: z.string().max(MAX_FACTS, `at most ${MAX_FACTS} characters`).optional(),
});
type TrialForm = z.infer<typeof trialSchema>;

/** Whoever writes the rule is to correct it: these come back on the page, with what was written. */
const CORRECTED: ReadonlySet<ErrorCode> = new Set([
  'POLICY_INVALID',
  'POLICY_ERROR',
  'INVALID_INPUT',
  'INVALID_JSON',
  'INVALID_NUMBER',
  'INVALID_TEXT',
  'INPUT_TOO_LARGE',
  'NOT_FOUND',
  'RATE_LIMITED',
]);

export function playgroundRoutes(deps: GatewayDependencies, bundles: Bundles): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>();
  app.get('/policy/playground', async (c) => {
    const person = await deps.identity.person(c);
    const rule = given(c, 'rule', 64);
    const actionId = given(c, 'action');
    const found = actionId === undefined ? undefined : await recordedAction(deps, person, actionId);
    return show(deps, bundles, c, person, { rule, action: found });
  });
  app.post('/policy/playground', async (c) => {
    const person = await deps.identity.person(c);
    await c.get('countMore')(COUNTS_AS - 1);
    return tryOut(deps, bundles, c, person, await trialForm(c));
  });
  return app;
}

/** As it was typed, blanks at the ends of lines included: places in it must be those that its author sees. */
async function trialForm(c: Context): Promise<TrialForm> {
  const body = await c.req.parseBody();
  const texts = Object.fromEntries(
    Object.entries(body).flatMap(([name, value]) =>
      typeof value === 'string' && value.trim() !== '' ? [[name, value.replaceAll('\r\n', '\n')]] : [],
    ),
  );
  const { data, error } = trialSchema.safeParse(texts);
  if (data !== undefined) return data;
  const field = error.issues[0]?.path.join('.') ?? 'form';
  throw new CountersignError('INVALID_INPUT', `${field}: ${error.issues[0]?.message ?? 'is not as expected'}`, {
    field,
    expected: 'the fields of the page',
    fix: 'Correct the field and send it again.',
  });
}

/** @throws CountersignError NOT_FOUND, also for another tenant's */
async function recordedAction(
  { ledger }: GatewayDependencies,
  { tenant }: PersonPrincipal,
  actionId: string,
): Promise<ArchivedRecord> {
  const found = ACTION_ID_PATTERN.test(actionId) ? await ledger.archive.action(tenant, actionId) : undefined;
  if (found === undefined)
    throw actionNotFound(ACTION_ID_PATTERN.test(actionId) ? actionId : 'with this id', ` of tenant ${tenant}`);
  return found;
}

async function tryOut(
  deps: GatewayDependencies,
  bundles: Bundles,
  c: Context,
  person: PersonPrincipal,
  { digest, rule, text, action, asOf, facts }: TrialForm,
): Promise<Response> {
  const drawn = { rule, text, asOf, facts };
  let record: ArchivedRecord | undefined;
  try {
    record = action === undefined ? undefined : await recordedAction(deps, person, action);
    const question = record === undefined ? pastedQuestion(facts ?? '', person.tenant) : recordedQuestion(record, asOf);
    const { active } = await knownPolicies(deps.ledger, person.tenant);
    if (active?.digest !== digest)
      return await show(deps, bundles, c, person, { ...drawn, action: record, result: <Replaced /> });
    const change = { ...(rule === undefined ? {} : { id: rule }), text };
    const trial = await bundles.trial(digest, change, question, person.tenant);
    const result = <TrialResult trial={trial} recorded={record?.outcome?.decision} />;
    return await show(deps, bundles, c, person, { ...drawn, action: record, result });
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (!CORRECTED.has(error.code)) throw error;
    const result = (
      <div id="result">
        <Refusal error={error.toJSON()} />
      </div>
    );
    return show(
      deps,
      bundles,
      c,
      person,
      { ...drawn, action: record, result },
      error.code === 'RATE_LIMITED' ? 429 : 400,
    );
  }
}

function Replaced(): JSX.Element {
  return (
    <div id="result">
      <Notice tone="warn" title="Another bundle is in force since you began">
        <p>Your text is still here. Look at what the rule says now, then decide again.</p>
      </Notice>
    </div>
  );
}

type Drawn = Partial<Pick<PlaygroundProps, 'rule' | 'text' | 'action' | 'asOf' | 'facts' | 'result'>>;

async function show(
  { ledger }: GatewayDependencies,
  bundles: Bundles,
  c: Context,
  person: PersonPrincipal,
  drawn: Drawn,
  status: ContentfulStatusCode = 200,
): Promise<Response> {
  const props = { title: 'Playground', person, section: 'policy' as const };
  const [{ active }, { actions }] = await Promise.all([
    knownPolicies(ledger, person.tenant),
    ledger.archive.search({
      tenant: person.tenant,
      limit: RECENT,
      status: ['success', 'denied', 'failed', 'mismatch', 'expired'],
    }),
  ]);
  if (active === undefined) {
    return page(
      c,
      props,
      <>
        <PolicyHeading title="Playground" part="playground" />
        <Empty title="No policy is known">There is no rule to try yet.</Empty>
      </>,
      status,
    );
  }
  const outline = await bundles.outline(active.digest);
  const known = outline.rules.find(({ id }) => id === drawn.rule);
  return page(
    c,
    props,
    <Playground
      person={person}
      outline={outline}
      rule={known?.id}
      text={drawn.text ?? known?.text ?? NEW_RULE}
      action={drawn.action}
      asOf={drawn.asOf}
      facts={drawn.facts}
      recent={actions}
      result={drawn.result}
      now={new Date()}
    />,
    status,
  );
}
