/** The routes of one action: its page, and the forms on it. */
import { Hono, type Context } from 'hono';
import { z } from 'zod';
import { CountersignError } from '../../../action/errors.js';
import { VERDICTS } from '../../../action/outcome.js';
import type { Decide, GatewayDependencies } from '../../deps.js';
import type { GatewayEnv } from '../../auth/identity.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import { statusOf } from '../../middleware/problem.js';
import { actionPath } from '../lists/inbox.js';
import { actionIdOf, digestText, form, reason } from '../form-input.js';
import type { Draft } from './decision-panel.js';
import { edit } from './edit-route.js';
import { readForPage } from './read.js';
import { showAction } from './show.js';

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
    return showAction(deps, c, person, await readForPage(deps, person.tenant, actionIdOf(c)));
  });

  app.post('/actions/:id/decision', (c) =>
    carryOut(deps, c, async (person, actionId) => {
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

  app.post('/actions/:id/edit', (c) => carryOut(deps, c, (person, actionId) => edit(deps, c, person, actionId)));

  app.post('/actions/:id/resolution', (c) =>
    carryOut(deps, c, async (person, subject) => {
      await decisions.state(person, { kind: 'resolve', subject, ...(await form(c, resolutionSchema)) });
    }),
  );

  app.post('/actions/:id/recovery', (c) =>
    carryOut(deps, c, async (person, subject) => {
      await decisions.state(person, { kind: 'recover', subject, ...(await form(c, recoverySchema)) });
    }),
  );

  return app;
}

/** Does it and leads back to the action, or to the one that came of it; where it is refused, shows the action as it is now, and why. */
async function carryOut(
  deps: GatewayDependencies,
  c: Context,
  body: (person: PersonPrincipal, actionId: string) => Promise<string | void>,
): Promise<Response> {
  const person = await deps.identity.person(c);
  const actionId = actionIdOf(c);
  let next: string;
  try {
    next = (await body(person, actionId)) ?? actionId;
  } catch (thrown) {
    if (!(thrown instanceof CountersignError) || statusOf(thrown.code) >= 500) throw thrown;
    const action = await readForPage(deps, person.tenant, actionId);
    return showAction(deps, c, person, action, { error: thrown, ...(await draftOf(c)) });
  }
  return c.redirect(actionPath(next), 303);
}

/** What was typed, to be corrected. */
async function draftOf(c: Context): Promise<Draft> {
  const { reason: why, input, expect } = await c.req.parseBody();
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  return {
    reason: text(why).slice(0, 2000),
    ...(input === undefined ? {} : { edit: { input: text(input), expect: text(expect) } }),
  };
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
