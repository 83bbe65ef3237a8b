/** The gateway as one Hono app: what every request goes through, and the parts that answer. It has no state of its own, so any number run side by side. */
import { Hono, type Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { CountersignError } from '../../action/errors.js';
import { codecServer } from '../codec/index.js';
import { a2aRoutes } from '../a2a/routes.js';
import { api } from '../api/index.js';
import type { GatewayDependencies } from '../deps.js';
import { Streams } from '../events/streams.js';
import { mcpChallenge, mcpRoutes } from '../mcp/routes.js';
import { securityHeaders } from '../middleware/security-headers.js';
import { health } from './health.js';
import type { GatewayEnv } from '../auth/identity.js';
import { login, loginPath, sameHost } from '../auth/login/index.js';
import { InFlight } from './in-flight.js';
import { gaugeLedger } from './ledger-gauges.js';
import { Metrics } from './metrics.js';
import { requestLogging } from '../middleware/request-logging.js';
import { pages, problemPage } from '../inbox/index.js';
import type { PersonPrincipal } from '../auth/principal.js';
import { answerProblem, isApi, problemHeaders, problemOf, refusalOf } from '../middleware/problem.js';
import { rateLimit } from '../middleware/rate-limit.js';
import { slack } from '../api/slack-interactions.js';
import { timeouts } from '../middleware/timeouts.js';
import { tracing } from '../middleware/tracing.js';

/** Answered without authentication. */
const PUBLIC =
  /^\/(?:healthz|readyz|metrics|assets\/.*|\.well-known\/(?:agent-card\.json|authzen-configuration|oauth-protected-resource(?:\/mcp)?))$/;

/** @param requests counts those that are worked on, for whoever stops the gateway */
export function createGateway(deps: GatewayDependencies, requests = new InFlight()): Hono<GatewayEnv> {
  const { settings, ledger, closing } = deps;
  const { bodyBytes } = settings.limits;
  const metrics = new Metrics();
  gaugeLedger(metrics, ledger);
  closing.addEventListener('abort', () => metrics.close(), { once: true });
  const streams = new Streams(deps, metrics);
  const limited = rateLimit(deps);
  const ownName = sameHost(settings);
  const app = new Hono<GatewayEnv>();

  app.use(tracing());
  app.use(requestLogging(deps, metrics));
  app.use(securityHeaders(settings));
  app.use((c, next) => {
    c.set('oversightRoles', settings.oversightRoles);
    return next();
  });
  app.use(methodNotAllowed({ app, onMethodNotAllowed: (c, methods) => refuseMethod(deps, c, methods) }));
  // Another name that points here would make a browser take our pages for its own. A request with an Authorization header is no browser's.
  app.use((c, next) => (c.req.header('authorization') === undefined ? ownName(c, next) : next()));
  app.use(timeouts(settings.limits, requests));
  app.use(bodyLimit({ maxSize: bodyBytes, onError: (c) => tooLarge(c, bodyBytes) }));
  app.use((c, next) => (PUBLIC.test(c.req.path) ? next() : limited(c, next)));

  app.route('/', health(deps, metrics));
  app.route('/', api(deps, streams));
  app.route('/', login(deps));
  app.route('/', pages(deps));
  app.route('/slack', slack(deps));
  app.route('/', mcpRoutes(deps, streams));
  app.route('/', a2aRoutes(deps));
  if (deps.codecServer !== undefined) app.route('/codec', codecServer(deps, deps.codecServer));

  app.notFound((c) => {
    const what = `There is nothing at ${JSON.stringify(c.req.path.slice(0, 100))}.`;
    return refuse(deps, c, new CountersignError('NOT_FOUND', what, { field: 'path' }));
  });
  app.onError((thrown, c) => refuse(deps, c, thrown));
  return app;
}

async function refuse(deps: GatewayDependencies, c: Context<GatewayEnv>, thrown: unknown, as?: 405): Promise<Response> {
  const { error, status } = refusalOf(thrown, c.req.path);
  if (status >= 500) deps.logger.error({ requestId: c.get('requestId'), err: thrown }, 'request failed');
  for (const [name, value] of Object.entries(problemHeaders(error))) c.header(name, value);
  if (error.code === 'UNAUTHENTICATED' && c.req.path === '/mcp') {
    c.header('WWW-Authenticate', mcpChallenge(deps.settings.publicUrl));
  }
  const problem = problemOf(c, deps.settings.publicUrl, { error, status: as ?? status });
  if (!isPage(c)) return answerProblem(c, problem);
  if (error.code === 'UNAUTHENTICATED' && c.req.method === 'GET') return c.redirect(loginPath(pathAndQuery(c)), 303);
  return problemPage(c, problem, await personAt(deps, c));
}

function refuseMethod(
  deps: GatewayDependencies,
  c: Context<GatewayEnv>,
  methods: readonly string[],
): Promise<Response> {
  c.header('Allow', methods.join(', '));
  const what = `The method ${c.req.method.slice(0, 16)} is not allowed here.`;
  const error = new CountersignError('INVALID_INPUT', what, { field: 'method', expected: methods.join(', ') });
  return refuse(deps, c, error, 405);
}

/** For the page's frame. Where the session cannot be read, the page is shown without one. */
async function personAt({ identity }: GatewayDependencies, c: Context): Promise<PersonPrincipal | undefined> {
  const principal = await identity.principal(c).catch(() => undefined);
  return principal?.kind === 'person' ? principal : undefined;
}

function tooLarge(c: Context, bodyBytes: number): never {
  // The rest of the body is not read: nothing can follow it on this connection.
  c.header('Connection', 'close');
  throw new CountersignError('INPUT_TOO_LARGE', 'The body of the request is too large.', {
    field: 'body',
    expected: `at most ${bodyBytes} bytes`,
  });
}

/** Whether a browser asks for a page. The API always answers in JSON. */
function isPage(c: Context): boolean {
  const { path } = c.req;
  if (isApi(path) || c.req.header('authorization') !== undefined) return false;
  return /(?:^|,)\s*text\/html\b/i.test(c.req.header('accept') ?? '');
}

function pathAndQuery(c: Context): string {
  const { pathname, search } = new URL(c.req.url);
  return `${pathname}${search}`;
}
