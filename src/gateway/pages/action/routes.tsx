/** The routes of one action: its page, and what a person decides or states about it there. */
import { Hono, type Context } from 'hono';
import { z } from 'zod';
import { CountersignError } from '../../../action/errors.js';
import { VERDICTS } from '../../../action/outcome.js';
import { workflowUrl } from '../../../telling/workflow-url.js';
import type { Decide, GatewayDependencies } from '../../deps.js';
import type { GatewayEnv } from '../../identity.js';
import type { PersonPrincipal } from '../../principal.js';
import { statusOf } from '../../problem.js';
import { standingOf } from '../deciding.js';
import { actionPath } from '../inbox.js';
import { actionIdOf, digestText, form, reason } from '../input.js';
import { page } from '../layout.js';
import { Notice } from '../parts.js';
import { Refusal } from '../problem.js';
import { ActionPage } from './page.js';
import { readAction, type Known } from './read.js';

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
    message: 'say why, in a sentence',
  });

const resolutionSchema = z.object({ verdict: z.enum(['happened', 'did_not_happen']), reason });
const recoverySchema = z.object({ verdict: z.enum(['retry', 'accept']), reason });

export function actionRoutes(deps: GatewayDependencies): Hono<GatewayEnv> {
  const { identity, decisions } = deps;
  const app = new Hono<GatewayEnv>();

  app.get('/actions/:id', async (c) => {
    const person = await identity.person(c);
    return show(c, person, await readAction(deps, person.tenant, actionIdOf(c)));
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
      const known = await readAction(deps, person.tenant, actionId);
      const { reason: why } = await c.req.parseBody();
      return show(c, person, known, { error: thrown, reason: typeof why === 'string' ? why.slice(0, 2000) : '' });
    }
    return c.redirect(actionPath(actionId), 303);
  }

  async function show(
    c: Context,
    person: PersonPrincipal,
    known: Known,
    refused?: { readonly error: CountersignError; readonly reason: string },
  ): Promise<Response> {
    const { view, record, proposal, stuck, behind } = known;
    const now = new Date();
    const ask = record?.approvalRequest;
    const waitedSeconds = ask === undefined ? 0 : Math.max(0, (now.getTime() - Date.parse(ask.firstAskedAt)) / 1000);
    const over = view.phase === 'ended';
    return page(
      c,
      {
        title: view.pending?.shown.preview.summary ?? record?.summary ?? view.actionId,
        person,
        section: view.pending === undefined ? 'history' : 'inbox',
        scripts: view.pending === undefined ? [] : ['passkeys.js'],
        ...(over ? {} : { live: `/v1/actions/${encodeURIComponent(view.actionId)}/events` }),
      },
      <ActionPage
        view={view}
        person={person}
        standing={await mayDecide(person, known, waitedSeconds)}
        proposal={proposal}
        askedAt={ask?.firstAskedAt ?? record?.proposedAt}
        endedAt={record?.endedAt}
        waitedSeconds={waitedSeconds}
        revisedBy={record?.revisedBy ?? []}
        deliveries={record?.deliveries ?? []}
        stuck={stuck}
        temporalUrl={temporalUrl(view.tenant, view.actionId)}
        draft={refused && { reason: refused.reason }}
        notices={
          <>
            {refused === undefined ? null : <Refusal error={refused.error.toJSON()} />}
            {behind ? (
              <Notice tone="warn" title="This may be a moment old">
                <p>The action’s workflow does not answer now, so this is what the ledger had last.</p>
              </Notice>
            ) : null}
          </>
        }
        now={now}
      />,
      refused === undefined ? 200 : statusOf(refused.error.code),
    );
  }

  async function mayDecide(person: PersonPrincipal, { view: { pending } }: Known, waitedSeconds: number) {
    if (pending === undefined) return { kind: 'may_not' as const, why: '' };
    const { shown } = pending;
    const asksPasskey = shown.requirements.some(({ passkey }) => passkey === true);
    const [duties, passkeys] = await Promise.all([
      deps.ledger.roleDelegations.of(person.tenant, person.id),
      asksPasskey ? deps.ledger.passkeys.list(person.tenant, person.id) : [],
    ]);
    return standingOf({
      person,
      shown,
      waitedSeconds,
      duties: duties.map(({ role }) => role),
      hasPasskey: passkeys.some(({ retired }) => retired === undefined),
    });
  }

  function temporalUrl(tenant: string, actionId: string): string | undefined {
    const { temporalUiUrl: uiUrl, temporalNamespace: namespace } = deps.settings;
    return uiUrl === undefined ? undefined : workflowUrl({ uiUrl, namespace }, { tenant, actionId });
  }
}

/** As the browser gave it. What of it counts, the trust module reads. */
function responseOf(text: string): NonNullable<Decide['assertion']>['response'] {
  try {
    return JSON.parse(text) as NonNullable<Decide['assertion']>['response'];
  } catch (cause) {
    throw new CountersignError('PASSKEY_INVALID', 'What came from the passkey cannot be read.', {
      field: 'assertion',
      cause,
    });
  }
}
