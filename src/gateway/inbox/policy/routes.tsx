/** The routes of the policy pages. They show; nothing is changed here, and nothing of another tenant is seen. */
import { Hono, type Context } from 'hono';
import type { JSX } from 'hono/jsx/jsx-runtime';
import { asCountersignError, CountersignError } from '../../../action/errors.js';
import type { Digest } from '../../../action/json.js';
import type { Ledger } from '../../../ledger/index.js';
import type { GatewayEnv } from '../../auth/identity.js';
import type { GatewayDependencies } from '../../deps.js';
import { knownPolicies, type KnownPolicies } from '../../policy/active-bundle.js';
import { Bundles } from '../../policy/bundles.js';
import { PolicyWork } from '../../policy/policy-work.js';
import { digestText, given } from '../form-input.js';
import { page } from '../layout/layout.js';
import { Refusal } from '../layout/problem.js';
import { BundlePage } from './bundle-page.js';
import { Divergences } from './divergences.js';
import { Evidence } from './evidence.js';
import { InForce, OtherBundles } from './bundles.js';
import { PolicyHeading } from './heading.js';
import { playgroundRoutes } from './playground-routes.js';
import { ShadowPage } from './shadow-page.js';
import { FIGURES_DAYS, Limits, Rules } from './rules.js';
import { Workers } from './workers.js';

const DAY_MS = 86_400_000;
const MOST_DIVERGENCES = 100;

export function policyRoutes(deps: GatewayDependencies): Hono<GatewayEnv> {
  const bundles = new Bundles(deps.ledger, new PolicyWork());
  const app = new Hono<GatewayEnv>();
  app.get('/policy', (c) => showPolicy(deps, bundles, c));
  app.get('/policy/bundles/:digest', (c) => showBundle(deps, bundles, c));
  app.get('/policy/shadow', (c) => showShadow(deps, c));
  app.route('/', playgroundRoutes(deps, bundles));
  return app;
}

async function showPolicy(deps: GatewayDependencies, bundles: Bundles, c: Context): Promise<Response> {
  const person = await deps.identity.person(c);
  const state = await knownPolicies(deps.ledger, person.tenant);
  const digest = state.active?.digest;
  const now = new Date();
  return page(
    c,
    { title: 'Policy', person, section: 'policy' },
    <>
      <PolicyHeading title="Policy" part="policy" />
      <InForce state={state} now={now} />
      <div class="cards">
        <OtherBundles bundles={state.bundles} active={digest} now={now} />
        <Workers workers={state.workers} active={digest} now={now} />
      </div>
      {await rulesOf(deps, bundles, c, state, person.tenant)}
    </>,
  );
}

async function rulesOf(
  { ledger }: GatewayDependencies,
  bundles: Bundles,
  c: Context,
  { active }: KnownPolicies,
  tenant: string,
): Promise<JSX.Element | null> {
  if (active === undefined) return null;
  try {
    const [outline, figures] = await Promise.all([
      bundles.outline(active.digest),
      ledger.archive.ruleFigures(tenant, new Date(Date.now() - FIGURES_DAYS * DAY_MS)),
    ]);
    return (
      <>
        <Rules outline={outline} figures={figures} text={given(c, 'q')} from={position(given(c, 'from'))} />
        <Limits limits={outline.limits} />
      </>
    );
  } catch (thrown) {
    return <Refusal error={asRefusal(thrown)} />;
  }
}

function position(text: string | undefined): number {
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : 0;
}

/** What a page can say instead of a part of it. @throws whatever is a fault of the system's */
function asRefusal(thrown: unknown): ReturnType<CountersignError['toJSON']> {
  const error = asCountersignError(thrown);
  if (error.code === 'LEDGER_UNAVAILABLE' || error.code === 'INTERNAL') throw error;
  return error.toJSON();
}

async function showBundle(deps: GatewayDependencies, bundles: Bundles, c: Context): Promise<Response> {
  const person = await deps.identity.person(c);
  const digest = digestOf(c);
  const { rollout } = deps.ledger;
  const [state, history] = await Promise.all([
    knownPolicies(deps.ledger, person.tenant),
    rollout.history({ digest, limit: 50 }),
  ]);
  const known = state.bundles.find((one) => one.digest === digest);
  if (known === undefined && !isRun(state, digest)) throw noBundle(digest);
  const active = state.active?.digest;
  const differs = active !== undefined && active !== digest;
  return page(
    c,
    { title: 'Policy bundle', person, section: 'policy' },
    <BundlePage
      digest={digest}
      known={known}
      active={active}
      differences={differs ? await bundles.differences(active, digest).catch(asRefusal) : undefined}
      history={history}
      now={new Date()}
    >
      {await foundAbout(deps.ledger, person.tenant, digest, active)}
    </BundlePage>,
  );
}

async function showShadow(deps: GatewayDependencies, c: Context): Promise<Response> {
  const person = await deps.identity.person(c);
  const state = await knownPolicies(deps.ledger, person.tenant);
  const shadow = state.bundles.find((one) => one.state === 'shadow');
  const active = state.active?.digest;
  return page(
    c,
    { title: 'Policy in shadow', person, section: 'policy' },
    <ShadowPage shadow={shadow} now={new Date()}>
      {shadow === undefined ? null : await foundAbout(deps.ledger, person.tenant, shadow.digest, active)}
    </ShadowPage>,
  );
}

/** Where a bundle decided otherwise in shadow, and what backtests found: of this tenant, and of no other. */
async function foundAbout(
  { rollout, archive }: Ledger,
  tenant: string,
  digest: Digest,
  active: Digest | undefined,
): Promise<JSX.Element | null> {
  if (digest === active) return null;
  const [found, evidence, own, counts] = await Promise.all([
    rollout.divergences({ candidate: digest, tenant, limit: MOST_DIVERGENCES + 1 }),
    active === undefined ? [] : rollout.evidence(digest, active),
    archive.isOnlyTenant(tenant),
    rollout.shadowCounts(digest),
  ]);
  const now = new Date();
  return (
    <>
      {counts.length === 0 && found.length === 0 ? null : (
        <Divergences
          divergences={found.slice(0, MOST_DIVERGENCES)}
          more={found.length > MOST_DIVERGENCES}
          counts={own ? counts : []}
          now={now}
        />
      )}
      {active === undefined ? null : <Evidence evidence={evidence} own={own} now={now} />}
    </>
  );
}

/** Whether a worker runs it, or the tenant's own decisions name it. */
function isRun({ workers, named }: KnownPolicies, digest: Digest): boolean {
  return (
    workers.some(({ active, shadow }) => active === digest || shadow === digest) ||
    named.some((one) => one.digest === digest)
  );
}

function digestOf(c: Context): Digest {
  const parsed = digestText.safeParse(c.req.param('digest'));
  if (parsed.success) return parsed.data;
  throw noBundle(c.req.param('digest') ?? '');
}

function noBundle(digest: string): CountersignError {
  return new CountersignError('NOT_FOUND', `There is no policy ${JSON.stringify(digest.slice(0, 80))}.`, {
    field: 'digest',
    fix: 'Go back to the policy page.',
  });
}
