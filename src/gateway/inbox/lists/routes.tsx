/** The routes of the lists: inbox, history, dashboard. */
import { Hono, type Context } from 'hono';
import { asCountersignError } from '../../../action/errors.js';
import { rolesOfPerson } from '../../auth/roles.js';
import { withoutUndefined } from '../../../action/json.js';
import { stuckCompensations } from '../../../action-records/list.js';
import type { ArchiveFilter } from '../../../ledger/index.js';
import type { GatewayDependencies } from '../../deps.js';
import type { GatewayEnv } from '../../auth/identity.js';
import { Dashboard, PERIODS } from './dashboard.js';
import { History, STATUSES, type HistoryFilter } from './history.js';
import { Inbox, type InboxFilter, type Unresolved } from './inbox.js';
import { given } from '../form-input.js';
import { page } from '../layout/layout.js';

const PAGE = 50;
const UNRESOLVED = 20;

export function listRoutes(deps: GatewayDependencies): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>();
  app.get('/', (c) => showInbox(deps, c));
  app.get('/history', (c) => showHistory(deps, c));
  app.get('/dashboard', (c) => showDashboard(deps, c));
  return app;
}

async function showInbox(deps: GatewayDependencies, c: Context): Promise<Response> {
  const person = await deps.identity.person(c);
  const named: Omit<InboxFilter, 'mine'> = withoutUndefined({
    text: given(c, 'q'),
    environment: given(c, 'environment'),
    tool: given(c, 'tool'),
    agent: given(c, 'agent'),
  });
  const filter: InboxFilter = { ...named, mine: given(c, 'mine') === '1' };
  const cursor = given(c, 'after', 400);
  const [{ requests, next }, unresolved] = await Promise.all([
    deps.ledger.approvalRequests.page({
      tenant: person.tenant,
      limit: PAGE,
      ...(cursor === undefined ? {} : { cursor }),
      filter: { ...named, ...(filter.mine ? { roles: await rolesOfPerson(deps.ledger, person) } : {}) },
    }),
    cursor === undefined ? unresolvedOf(deps, person.tenant) : [],
  ]);
  return page(
    c,
    { title: 'Inbox', person, section: 'inbox', live: '/v1/events' },
    <Inbox
      asks={requests}
      unresolved={unresolved}
      filter={filter}
      next={next}
      further={cursor !== undefined}
      now={new Date()}
    />,
  );
}

async function showHistory(deps: GatewayDependencies, c: Context): Promise<Response> {
  const person = await deps.identity.person(c);
  const status = given(c, 'status');
  const filter: HistoryFilter = {
    text: given(c, 'q'),
    status: STATUSES.find((name) => name === status),
    tool: given(c, 'tool'),
    agent: given(c, 'agent'),
    environment: given(c, 'environment'),
    policy: given(c, 'policy'),
    from: day(given(c, 'from')),
    to: day(given(c, 'to')),
  };
  const cursor = given(c, 'after', 400);
  const { actions, next } = await deps.ledger.archive.search({
    tenant: person.tenant,
    limit: PAGE,
    canaries: true,
    ...(cursor === undefined ? {} : { cursor }),
    ...wanted(filter),
  });
  return page(
    c,
    { title: 'History', person, section: 'history' },
    <History actions={actions} filter={filter} next={next} now={new Date()} />,
  );
}

async function showDashboard(deps: GatewayDependencies, c: Context): Promise<Response> {
  const person = await deps.identity.person(c);
  const days = PERIODS.find((period) => String(period) === c.req.query('days')) ?? 30;
  const to = new Date();
  const from = new Date(to.getTime() - days * DAY_MS);
  const figures = await deps.ledger.archive.dashboard(person.tenant, { from, to });
  return page(c, { title: 'Dashboard', person, section: 'dashboard' }, <Dashboard figures={figures} days={days} />);
}

const DAY_MS = 86_400_000;

/** A day as a date field gives it. Anything else is none. */
function day(text: string | undefined): string | undefined {
  return text !== undefined && /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)) ? text : undefined;
}

/** `to` is the last day that is meant, so it ends when the next begins. */
function wanted({ from, to, ...named }: HistoryFilter): ArchiveFilter {
  const given = Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined));
  return {
    ...(given as ArchiveFilter),
    ...(from === undefined ? {} : { from: new Date(from) }),
    ...(to === undefined ? {} : { to: new Date(Date.parse(to) + DAY_MS) }),
  };
}

/** What needs a person beside approvals: unknown outcomes and failed compensations. */
async function unresolvedOf(deps: GatewayDependencies, tenant: string): Promise<readonly Unresolved[]> {
  const [unknown, stuck] = await Promise.all([
    deps.ledger.archive.search({ tenant, status: 'unknown', limit: UNRESOLVED }),
    failedCompensationsOf(deps, tenant),
  ]);
  return [
    ...unknown.actions.map(({ actionId, summary, agent, environment, endedAt, tool }): Unresolved => ({
      kind: 'unknown',
      actionId,
      summary: summary ?? `An action on ${tool}`,
      agent,
      environment,
      since: endedAt,
    })),
    ...stuck,
  ];
}

/** Temporal knows of these; the inbox is of use without them. */
async function failedCompensationsOf(
  { countersign, logger }: GatewayDependencies,
  tenant: string,
): Promise<readonly Unresolved[]> {
  try {
    const found = await stuckCompensations(countersign.temporal, tenant, UNRESOLVED, 'the Temporal server');
    return found.map(({ actionId }) => ({
      kind: 'compensation',
      actionId,
      summary: `${actionId} could not be compensated`,
    }));
  } catch (thrown) {
    logger.warn({ err: asCountersignError(thrown) }, 'failed compensations cannot be listed');
    return [];
  }
}
