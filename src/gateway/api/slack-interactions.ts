/** Clicks in Slack: each is answered with a link to the page where the person logs in and signs. A click alone decides nothing. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { Hono } from 'hono';
import { z } from 'zod';
import { CountersignError } from '../../action/errors.js';
import { guardedFetch, type GuardedFetch } from '../../http/guarded-fetch.js';
import { isThisMachine } from '../../http/addresses.js';
import { ACTION_ID_PATTERN } from '../../action/proposal.js';
import { SLACK_ACTIONS } from '../../notify/slack-blocks.js';
import type { GatewayDependencies } from '../deps.js';
import type { GatewayEnv } from '../auth/identity.js';
import { withTimeout } from '../middleware/with-timeout.js';

const HOOKS: readonly string[] = ['https://hooks.slack.com', 'https://hooks.slack-gov.com'];

/** Older or newer ones are not taken (https://docs.slack.dev/authentication/verifying-requests-from-slack). Seconds. */
const WINDOW_SECONDS = 300;

/** Slack waits for 3 s; whatever is awaited before the answer must be over sooner. Milliseconds. */
const ANSWER_MS = 2_000;
const RESPOND_MS = 5_000;
const MAX_ANSWER_BYTES = 64 * 1024;

const VERDICTS: ReadonlyMap<string, 'approve' | 'deny'> = new Map([
  [SLACK_ACTIONS.approve, 'approve'],
  [SLACK_ACTIONS.deny, 'deny'],
]);

const clickSchema = z.object({
  type: z.literal('block_actions'),
  response_url: z.string(),
  actions: z.array(z.object({ action_id: z.string(), value: z.string().optional() })).min(1),
});

/** `POST /interactions`: the request URL for interactivity of the Slack app. */
export function slack(deps: Pick<GatewayDependencies, 'settings' | 'ledger' | 'logger'>): Hono<GatewayEnv> {
  const { settings, ledger, logger } = deps;
  const app = new Hono<GatewayEnv>();
  if (settings.slack === undefined) return app;
  const { signingSecret, responseOrigins = HOOKS } = settings.slack;
  const senders = new Map(responseOrigins.map((origin) => [origin, senderTo(origin)]));

  app.post('/interactions', async (c) => {
    const body = Buffer.from(await c.req.arrayBuffer());
    const timestamp = c.req.header('x-slack-request-timestamp') ?? '';
    const signature = c.req.header('x-slack-signature') ?? '';
    const signed = verified({ signingSecret, timestamp, signature, body });
    const fresh = await inTime(
      ledger.nonces.use({
        scope: 'slack',
        nonce: signed.id,
        expiresAt: new Date((signed.at + 2 * WINDOW_SECONDS) * 1000),
      }),
    );
    if (!fresh)
      throw new CountersignError('FORBIDDEN', 'This request was sent before.', { field: 'x-slack-signature' });

    const click = clickOf(body);
    if (click !== undefined) {
      respond(click, settings.publicUrl, senders).catch((error: unknown) => {
        // Its URL is a key to the conversation, and stays out of the log.
        logger.warn(
          { actionId: click.actionId, reason: error instanceof Error ? error.name : 'unknown' },
          'a click in Slack is not answered',
        );
      });
    }
    return c.body(null, 200);
  });
  return app;
}

interface Click {
  readonly actionId: string;
  readonly verdict: 'approve' | 'deny';
  readonly responseUrl: string;
}

interface SignedRequest {
  readonly signingSecret: string;
  readonly timestamp: string;
  readonly signature: string;
  readonly body: Buffer;
}

/** @throws CountersignError UNAUTHENTICATED, always the same: whoever forges learns nothing */
function verified({ signingSecret, timestamp, signature, body }: SignedRequest): { id: string; at: number } {
  const given = /^v0=([0-9a-f]{64})$/.exec(signature)?.[1];
  const at = /^\d{1,12}$/.test(timestamp) ? Number(timestamp) : NaN;
  const expected = createHmac('sha256', signingSecret).update(`v0:${timestamp}:`).update(body).digest();
  const same = given !== undefined && timingSafeEqual(Buffer.from(given, 'hex'), expected);
  if (same && Math.abs(Date.now() / 1000 - at) <= WINDOW_SECONDS) return { id: given, at };
  throw new CountersignError('UNAUTHENTICATED', 'The signature of the request is not valid, or too old.', {
    field: 'x-slack-signature',
    expected: "the signature of the Slack app's own signing secret, at most 5 minutes old",
    fix: 'Give the gateway the signing secret of the app (COUNTERSIGN_SLACK_SIGNING_SECRET), and keep its clock right.',
  });
}

/** Undefined for what is no click on a button of ours: it is only acknowledged. */
function clickOf(body: Buffer): Click | undefined {
  let payload: unknown;
  try {
    payload = JSON.parse(new URLSearchParams(body.toString('utf8')).get('payload') ?? 'null');
  } catch {
    return undefined;
  }
  const click = clickSchema.safeParse(payload);
  if (!click.success) return undefined;
  for (const { action_id, value = '' } of click.data.actions) {
    const verdict = VERDICTS.get(action_id);
    if (verdict !== undefined && ACTION_ID_PATTERN.test(value)) {
      return { actionId: value, verdict, responseUrl: click.data.response_url };
    }
  }
  return undefined;
}

function senderTo(origin: string): GuardedFetch {
  return guardedFetch({
    allow: { loopback: isThisMachine(new URL(origin).hostname) },
    timeoutMs: RESPOND_MS,
    maxBytes: MAX_ANSWER_BYTES,
  });
}

/** Seen by the one who clicked alone. It says nothing of the action: Slack's people are not known here. */
async function respond(
  { actionId, verdict, responseUrl }: Click,
  publicUrl: string,
  senders: ReadonlyMap<string, GuardedFetch>,
): Promise<void> {
  const url = URL.canParse(responseUrl) ? new URL(responseUrl) : undefined;
  const send = senders.get(url?.origin ?? '');
  if (url === undefined || send === undefined) throw new TypeError('not an address of Slack');
  const link = `${publicUrl.replace(/\/$/, '')}/actions/${encodeURIComponent(actionId)}?verdict=${verdict}`;
  const text = `To ${verdict} this, log in and sign: <${link}|open the action>. Nothing is decided yet.`;
  const answer = await send(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ response_type: 'ephemeral', replace_original: false, text }),
  });
  if (!answer.ok) throw new TypeError(`HTTP ${answer.status}`);
}

/** @throws CountersignError TIMED_OUT */
function inTime<T>(work: Promise<T>): Promise<T> {
  return withTimeout(
    ANSWER_MS,
    work,
    () => new CountersignError('TIMED_OUT', 'The ledger did not answer in time.', { retryable: true }),
  );
}
