/** The routes of one action: its page, and the forms on it. */
import { Hono, type Context } from 'hono';
import { z } from 'zod';
import { CountersignError } from '../../../action/errors.js';
import { VERDICTS } from '../../../action/outcome.js';
import type { Decide, GatewayDependencies } from '../../deps.js';
import type { GatewayEnv } from '../../auth/identity.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import { statusOf } from '../../middleware/problem.js';
import { decisionRightsOf } from './decision-rights.js';
import { actionPath } from '../lists/inbox.js';
import { actionIdOf, digestText, form, reason } from '../form-input.js';
import { page } from '../layout/layout.js';
import { Sanitized } from '../components/sanitized-text.js';
import { Notice } from '../components/parts.js';
import { Refusal } from '../layout/problem.js';
import { ActionPage } from './page.js';
import { readForPage, type ShownAction } from './read.js';

const decisionSchema = z
  .object({
    shownDigest: digestText,
    policyDigest: digestText,
    verdict: z.enum(VERDICTS),
    reason: reason.optional(),
    assertion: z.string().max(16_384).optional(),
  })
  .refine(({ verdict, reason: why }) => verdict === 'approve' || why !== undefined, {
    path: ['reason'],
    message: 'a reason is needed to deny or to ask for changes',
  });

const resolutionSchema = z.object({ verdict: z.enum(['happened', 'did_not_happen']), reason });
const recoverySchema = z.object({ verdict: z.enum(['retry', 'accept']), reason });

export function actionRoutes(deps: GatewayDependencies): Hono<GatewayEnv> {
  const { identity, decisions } = deps;
  const app = new Hono<GatewayEnv>();

  app.get('/actions/:id', async (c) => {
    const person = await identity.person(c);
    return show(c, person, await readForPage(deps, person.tenant, actionIdOf(c)));
  });

  app.post('/actions/:id/decision', (c) =>
    carryOut(c, async (person, actionId) => {
      const { shownDigest, policyDigest, verdict, reason: why, assertion } = await form(c, decisionSchema);
      await decisions.decide(person, {
        actionId,
        shownDigest,
        verdict,
        ...(why === undefined ? {} : { reason: why }),
        ...(assertion === undefined ? {} : { assertion: { policyDigest, response: responseOf(assertion) } }),
      });
    }),
  );

  app.post('/actions/:id/resolution', (c) =>
    carryOut(c, async (person, subject) => {
      await decisions.state(person, { kind: 'resolve', subject, ...(await form(c, resolutionSchema)) });
    }),
  );

  app.post('/actions/:id/recovery', (c) =>
    carryOut(c, async (person, subject) => {
      await decisions.state(person, { kind: 'recover', subject, ...(await form(c, recoverySchema)) });
    }),
  );

  return app;

  /** Does it and leads back to the action; where it is refused, shows the action as it is now, and why. */
  async function carryOut(
    c: Context,
    body: (person: PersonPrincipal, actionId: string) => Promise<void>,
  ): Promise<Response> {
    const person = await identity.person(c);
    const actionId = actionIdOf(c);
    try {
      await body(person, actionId);
    } catch (thrown) {
      if (!(thrown instanceof CountersignError) || statusOf(thrown.code) >= 500) throw thrown;
      const action = await readForPage(deps, person.tenant, actionId);
      const { reason: why } = await c.req.parseBody();
      return show(c, person, action, { error: thrown, reason: typeof why === 'string' ? why.slice(0, 2000) : '' });
    }
    return c.redirect(actionPath(actionId), 303);
  }

  async function show(
    c: Context,
    person: PersonPrincipal,
    action: ShownAction,
    refused?: { readonly error: CountersignError; readonly reason: string },
  ): Promise<Response> {
    const { view, archived, proposal, stuck, warnings } = action;
    const now = new Date();
    const request = archived?.approvalRequest;
    const waitedSeconds =
      request === undefined ? 0 : Math.max(0, (now.getTime() - Date.parse(request.firstAskedAt)) / 1000);
    const over = view.phase === 'ended';
    return page(
      c,
      {
        title: view.pending?.shown.preview.summary ?? archived?.summary ?? view.actionId,
        person,
        section: view.pending === undefined ? 'history' : 'inbox',
        scripts: view.pending === undefined ? [] : ['simplewebauthn.js'],
        ...(over ? {} : { live: `/v1/actions/${encodeURIComponent(view.actionId)}/events` }),
      },
      <ActionPage
        view={view}
        person={person}
        rights={await rightsOf(person, action, waitedSeconds)}
        proposal={proposal}
        askedAt={request?.firstAskedAt ?? action.proposedAt}
        endedAt={action.endedAt}
        waitedSeconds={waitedSeconds}
        revisedBy={archived?.revisedBy ?? []}
        deliveries={archived?.deliveries ?? []}
        stuck={stuck}
        temporalUrl={action.url}
        draft={refused && { reason: refused.reason }}
        notices={
          <>
            {refused === undefined ? null : <Refusal error={refused.error.toJSON()} />}
            {warnings.map((warning) => (
              <Notice tone="warn" title="The record is incomplete">
                <p>
                  <Sanitized text={warning} max={600} />
                </p>
              </Notice>
            ))}
          </>
        }
        now={now}
      />,
      refused === undefined ? 200 : statusOf(refused.error.code),
    );
  }

  async function rightsOf(person: PersonPrincipal, { view: { pending } }: ShownAction, waitedSeconds: number) {
    if (pending === undefined) return { kind: 'may_not' as const, why: '' };
    const { shown } = pending;
    const asksPasskey = shown.requirements.some(({ passkey }) => passkey === true);
    const [duties, passkeys] = await Promise.all([
      deps.ledger.roleDelegations.of(person.tenant, person.id),
      asksPasskey ? deps.ledger.passkeys.list(person.tenant, person.id) : [],
    ]);
    return decisionRightsOf({
      person,
      shown,
      waitedSeconds,
      duties: duties.map(({ role }) => role),
      hasPasskey: passkeys.some(({ retired }) => retired === undefined),
    });
  }
}

/** As the browser gave it. What of it counts, the trust module reads. */
function responseOf(text: string): NonNullable<Decide['assertion']>['response'] {
  try {
    return JSON.parse(text) as NonNullable<Decide['assertion']>['response'];
  } catch (cause) {
    throw new CountersignError('PASSKEY_INVALID', "The passkey's response is not valid JSON.", {
      field: 'assertion',
      cause,
    });
  }
}
