/** Traces and metrics of real actions, sent by OpenTelemetry's own SDK to a receiver on loopback: what is told, what never is, and that nothing waits for it. */
import { randomBytes, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Countersign, type Outcome, type PendingAction } from '../../clients/typescript/src/index.js';
import { METRICS, type Metric, type MetricName } from '../../src/telemetry/metric-names.js';
import { HIDDEN, lineFields, loggedError } from '../../src/telemetry/log-lines.js';
import { telemetrySettings } from '../../src/telemetry/settings.js';
import { startTelemetry, type RunningTelemetry } from '../../src/telemetry/start.js';
import { http } from '../../src/tools/index.js';
import { strikeSecrets } from '../../src/action/secrets.js';
import { startTestGateway, type TestGateway } from '../support/gateway.js';
import { startOtlpReceiver, type OtlpReceiver, type ReceivedSpan } from '../support/otlp.js';
import { startStack, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { openNotes, type Notes } from '../support/mcp-notes.js';
import { openPayments, OPERATIONS, type Payments } from '../tools/http-payments.js';
import { pinnedTool, pinsIn, temporaryFolder, WRITE_NOTE } from '../tools/mcp-support.js';

const POLICY = `
@id("payments-are-for-agents") permit (principal, action, resource == Countersign::Tool::"payments");
@id("notes-are-for-agents") permit (principal, action, resource == Countersign::Tool::"notes");
@id("refunds-are-taken-back-by-two") @reason("a refund is taken back") @approval("dba")
forbid (principal, action, resource == Countersign::Tool::"payments") when { context.operation == "cancelRefund" };
@id("orders-are-kept") @reason("orders are not replaced")
forbid (principal, action, resource == Countersign::Tool::"payments") when { context.operation == "replaceOrder" };`;

let receiver: OtlpReceiver;
let telemetry: RunningTelemetry;
let payments: Payments;
let notes: Notes;
let removePins: () => Promise<void>;
let stack: Stack;
let gateway: TestGateway;
let token: string;
const lines: string[] = [];

beforeAll(async () => {
  receiver = await startOtlpReceiver();
  [payments, notes] = await Promise.all([openPayments(), openNotes()]);
  const { folder, remove } = await temporaryFolder();
  removePins = remove;
  const written = await pinnedTool({
    name: 'notes',
    environment: 'test',
    server: { url: notes.url, allow: { loopback: true } },
    pins: pinsIn(folder),
    tools: { write_note: WRITE_NOTE },
  });
  const logger = pino(
    {
      level: 'trace',
      mixin: lineFields,
      redact: HIDDEN,
      serializers: { err: loggedError },
      hooks: { streamWrite: strikeSecrets },
    },
    { write: (line) => void lines.push(line) },
  );
  const env = { OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_BSP_SCHEDULE_DELAY: '100' };
  const settings = await telemetrySettings('dev', { otlp: { endpoint: receiver.url }, intervalSeconds: 1 }, env);
  telemetry = await startTelemetry(settings as NonNullable<typeof settings>, logger);
  stack = await startStack({
    schema: '',
    tools: () => [
      http({
        name: 'payments',
        environment: 'test',
        baseUrl: payments.url,
        operations: OPERATIONS,
        allow: { loopback: true },
      }),
      written,
    ],
    worker: false,
  });
  await writeFile(path.join(stack.policies, 'payments.cedar'), POLICY);
  await stack.startWorker({ logger });
  gateway = await startTestGateway(stack, { logger });
  token = ((await gateway.agent()).headers['authorization'] as string).replace('Bearer ', '');
});
afterAll(async () => {
  await gateway?.stop();
  await stack?.stop();
  await telemetry?.stop();
  await payments?.stop();
  await notes?.stop();
  await removePins?.();
  await receiver?.stop();
});

/** What an agent's own tracing hands on. */
function newTrace() {
  const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-01` };
}

function agentIn({ traceparent }: { readonly traceparent: string }): Countersign {
  return new Countersign({ url: gateway.url, token, headers: () => ({ traceparent }) });
}

function refund(cs: Countersign, more: object = {}): Promise<Outcome | PendingAction> {
  const { id } = payments.newOrder();
  return cs.perform({ tool: 'payments', input: { op: 'refund', path: { id }, body: { amount: 5 } }, ...more });
}

function spansOf(traceId: string, ended = 'verify'): Promise<readonly ReceivedSpan[]> {
  return until(
    async () => receiver.spans.filter((span) => span.traceId === traceId),
    (spans) => spans.some(({ name }) => name === ended) && spans.some(({ kind }) => kind === 2),
  );
}

const named = (spans: readonly ReceivedSpan[], name: string): ReceivedSpan =>
  spans.find((span) => span.name === name) as ReceivedSpan;

describe('one action', () => {
  const caller = newTrace();
  let outcome: Outcome;
  let spans: readonly ReceivedSpan[];

  beforeAll(async () => {
    payments.seen.length = 0;
    outcome = (await refund(agentIn(caller), { reasoning: 'The customer asked.' })) as Outcome;
    spans = await spansOf(caller.traceId);
  });

  test('is one connected trace from the agent’s call to the tool’s request', () => {
    expect(outcome.status).toBe('success');
    const request = named(spans, 'POST /v1/actions');
    const start = named(spans, 'StartWorkflow:trustedAction');
    expect(request).toMatchObject({ kind: 2, parentSpanId: caller.spanId });
    expect(start).toMatchObject({ kind: 3, parentSpanId: request.spanId });
    const steps = spans.filter(({ attributes }) => attributes['countersign.step.name'] !== undefined);
    expect(steps.map(({ name }) => name)).toEqual([
      'propose',
      'enforce',
      'capturePreState',
      'authorize',
      'execute_tool payments',
      'capturePostState',
      'verify',
    ]);
    expect(new Set(steps.map(({ parentSpanId }) => parentSpanId))).toEqual(new Set([start.spanId]));
    const ids = new Set(spans.map(({ spanId }) => spanId));
    expect(spans.filter(({ parentSpanId = '' }) => !ids.has(parentSpanId))).toEqual([request]);
  });

  test('reaches the tool’s system with its own span as the parent', () => {
    const effect = spans.find(({ name, kind }) => name === 'POST' && kind === 3) as ReceivedSpan;
    expect(effect).toMatchObject({
      parentSpanId: named(spans, 'execute_tool payments').spanId,
      attributes: { 'http.request.method': 'POST', 'http.response.status_code': 201, 'server.address': '127.0.0.1' },
    });
    const sent = payments.seen.filter(({ method }) => method === 'POST').map(({ headers }) => headers['traceparent']);
    expect(sent).toEqual([`00-${caller.traceId}-${effect.spanId}-01`]);
    const traces = payments.seen.map(({ headers }) => String(headers['traceparent']).split('-')[1]);
    expect(new Set(traces)).toEqual(new Set([caller.traceId]));
  });

  test('is told by the attributes of the conventions and by ours', () => {
    const { actionId } = outcome;
    expect(named(spans, 'execute_tool payments').attributes).toMatchObject({
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': 'payments',
      'gen_ai.tool.call.id': actionId,
      'gen_ai.tool.type': 'extension',
      'countersign.tenant': 'acme',
      'countersign.action.id': actionId,
      'countersign.tool.environment': 'test',
      'countersign.step.result': 'done',
      temporalWorkflowID: `acme/${actionId}`,
    });
    expect(named(spans, 'enforce').attributes).toMatchObject({
      'gen_ai.agent.id': 'agent-1',
      'countersign.decision.effect': 'allow',
      'countersign.decision.rules': ['payments-are-for-agents'],
    });
    expect(named(spans, 'verify').attributes).toMatchObject({ 'countersign.action.status': 'success' });
    expect(named(spans, 'POST /v1/actions').attributes).toMatchObject({
      'http.route': '/v1/actions',
      'http.response.status_code': 200,
      'countersign.action.id': actionId,
    });
  });

  test('has its trace and its id in every line of the log that is about it', () => {
    const all = lines.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
    const about = all.filter(({ trace_id }) => trace_id === caller.traceId);
    const steps = about.filter(({ msg }) => msg === 'step done');
    expect(steps.map(({ step }) => step)).toEqual(expect.arrayContaining(['propose', 'execute', 'verify']));
    expect(about).toContainEqual(expect.objectContaining({ msg: 'action ended', status: 'success', attempt: 1 }));
    expect(about).toContainEqual(expect.objectContaining({ msg: 'request', status: 200, method: 'POST' }));
    expect(new Set(about.map(({ tenant, actionId }) => `${String(tenant)}/${String(actionId)}`))).toEqual(
      new Set([`acme/${outcome.actionId}`]),
    );
  });

  test('costs its history two headers of a hundred bytes', async () => {
    const client = await stack.agent();
    const { events } = await client.temporal.workflow.getHandle(`acme/${outcome.actionId}`).fetchHistory();
    const headers = (events ?? []).flatMap((event) => {
      const { workflowExecutionStartedEventAttributes: started, activityTaskScheduledEventAttributes: scheduled } =
        event;
      const payload = (started ?? scheduled)?.header?.fields?.['_tracer-data'];
      return payload === undefined ? [] : [payload.data?.length ?? 0];
    });
    expect(headers).toHaveLength(2);
    expect(Math.max(...headers)).toBeLessThan(100);
  });
});

test('an MCP call is below the span that its _meta names', async () => {
  const caller = newTrace();
  const client = new Client({ name: 'test', version: '1' });
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${gateway.url}/mcp`), { requestInit }));
  const { tools } = await client.listTools();
  const { name } = tools.find((tool) => tool.name.endsWith('refund')) as { name: string };
  const args = { path: { id: payments.newOrder().id }, body: { amount: 5 } };
  const { traceparent } = caller;
  await client.callTool({ name, arguments: args, _meta: { traceparent } });
  await client.close();
  const spans = await spansOf(caller.traceId);
  expect(named(spans, `tools/call ${name}`)).toMatchObject({ kind: 2, parentSpanId: caller.spanId });
  expect(named(spans, `tools/call ${name}`).links).toHaveLength(1);
  expect(named(spans, 'StartWorkflow:trustedAction').parentSpanId).toBe(named(spans, `tools/call ${name}`).spanId);
  expect(named(spans, 'execute_tool payments').status).not.toBe(2);
});

test('a tool behind MCP gets the trace in the _meta of its call', async () => {
  const caller = newTrace();
  const args = { id: 'a', text: 'seen' };
  const cs = agentIn(caller);
  const outcome = await cs.perform({ tool: 'notes', input: { tool: 'write_note', arguments: args } });
  expect(outcome).toMatchObject({ status: 'success' });
  const spans = await spansOf(caller.traceId);
  const call = named(spans, 'tools/call write_note');
  expect(call).toMatchObject({ kind: 3, parentSpanId: named(spans, 'execute_tool notes').spanId });
  const [sent] = notes.calls().filter(({ name }) => name === 'write_note');
  expect(sent?._meta?.['traceparent']).toBe(`00-${caller.traceId}-${call.spanId}-01`);
});

test('an action that people approve goes on in its trace, and their decisions are counted', async () => {
  const caller = newTrace();
  const cs = agentIn(caller);
  await refund(cs);
  const id = [...payments.refunds.keys()].at(-1) as string;
  const waits = await cs.perform({ tool: 'payments', input: { op: 'cancelRefund', path: { id } } });
  expect(waits.status).toBe('pending');
  const dana = await gateway.person();
  const { body } = await dana.get(`/v1/actions/${waits.actionId}`);
  const { shownDigest } = (body as { pending: { shownDigest: string } }).pending;
  await dana.post(`/v1/actions/${waits.actionId}/decision`, { shownDigest, verdict: 'approve' });
  expect(await cs.outcome(waits.actionId)).toMatchObject({ status: 'success' });
  const own = ({ attributes }: ReceivedSpan): boolean => attributes['countersign.action.id'] === waits.actionId;
  const spans = await until(
    async () => receiver.spans.filter((span) => span.traceId === caller.traceId && own(span)),
    (seen) => seen.some(({ name }) => name === 'verify'),
  );
  expect(named(spans, 'checkApproval').attributes).toMatchObject({ 'countersign.person.verdict': 'approve' });
  expect(spans.filter(({ name }) => name === 'enforce').map((span) => span.attributes)).toMatchObject([
    { 'countersign.decision.effect': 'require_approval' },
    { 'countersign.decision.effect': 'require_approval' },
  ]);
  const counted = await until(
    async () => receiver.points('countersign.person.decisions'),
    (points) => points.length > 0,
  );
  expect(counted).toMatchObject([{ attributes: { verdict: 'approve' }, value: 1 }]);
  expect(receiver.points('countersign.approval.wait.seconds')).toMatchObject([
    { attributes: { verdict: 'approve' }, value: 1 },
  ]);
});

test('a denied action is no error, and a failed effect is one with its code', async () => {
  const [denied, failed] = [newTrace(), newTrace()];
  const { id } = payments.newOrder();
  const replace = { op: 'replaceOrder', path: { id }, body: { status: 'void' } };
  expect(await agentIn(denied).perform({ tool: 'payments', input: replace })).toMatchObject({ status: 'denied' });
  const spans = await spansOf(denied.traceId, 'settle');
  expect(spans.filter(({ status }) => status === 2)).toEqual([]);
  expect(named(spans, 'enforce').attributes).toMatchObject({
    'countersign.decision.effect': 'deny',
    'countersign.error.code': 'POLICY_DENIED',
  });

  const tooMuch = { op: 'refund', path: { id }, body: { amount: 5000 } };
  expect(await agentIn(failed).perform({ tool: 'payments', input: tooMuch })).toMatchObject({ status: 'failed' });
  const effect = named(await spansOf(failed.traceId), 'execute_tool payments');
  expect(effect.status).toBe(2);
  expect(effect.attributes['error.type']).toBe(effect.attributes['countersign.error.code']);
});

test('what cannot be a trace context is ignored, and the action is done', async () => {
  const before = receiver.spans.length;
  const cs = agentIn({ traceparent: `00-${'0'.repeat(32)}-${'x'.repeat(16)}-01` });
  expect(await refund(cs)).toMatchObject({ status: 'success' });
  const seen = await until(
    async () => receiver.spans.slice(before),
    (spans) => spans.some(({ name }) => name === 'POST /v1/actions'),
  );
  expect(named(seen, 'POST /v1/actions').parentSpanId ?? '').toBe('');
});

test('metrics count what was decided and done, and no series is an agent’s to make', async () => {
  const cs = agentIn(newTrace());
  const madeUp = `tool-${randomUUID()}`;
  expect(await cs.perform({ tool: madeUp, input: {} })).toMatchObject({ error: { code: 'UNKNOWN_TOOL' } });
  await refund(cs);
  const look = async (): Promise<readonly MetricName[]> =>
    (Object.keys(METRICS) as MetricName[]).filter((name) => receiver.points(name).length > 0);
  // Nothing was written past it.
  const counted = Object.keys(METRICS).filter((name) => name !== 'countersign.unexplained.writes');
  await until(look, (seen) => seen.length >= counted.length);
  expect(new Set(await look())).toEqual(new Set(counted));

  await until(
    async () => receiver.points('countersign.actions').map(({ attributes }) => attributes['tool']),
    (tools) => tools.includes('other'),
  );
  for (const name of counted as MetricName[]) {
    const { attributes }: Metric = METRICS[name];
    for (const point of receiver.points(name))
      expect([name, Object.keys(point.attributes).sort()]).toEqual([name, [...attributes].sort()]);
  }
  const of = (name: MetricName, attributes: object) =>
    receiver.points(name).find((point) => JSON.stringify(point.attributes) === JSON.stringify(attributes));
  expect(of('countersign.decisions', { effect: 'allow', tool: 'payments', code: 'none' })?.value).toBeGreaterThan(1);
  expect(of('countersign.actions', { status: 'denied', tool: 'payments', code: 'POLICY_DENIED' })?.value).toBe(1);
  expect(of('countersign.freezes', {})?.value).toBe(0);
  expect(JSON.stringify(receiver.requests.filter(({ url }) => url === '/v1/metrics'))).not.toContain(madeUp);
});

test('a secret in an input is in no span, no metric and no line of the log, also where the service quotes it', async () => {
  const secret = `hunter2-${randomUUID()}`;
  const trace = newTrace();
  const { id } = payments.newOrder();
  payments.before = ({ method }, _request, response) => {
    if (method !== 'PATCH') return false;
    response.writeHead(422, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ title: `the note ${secret} is not one` }));
    return true;
  };
  const outcome = await agentIn(trace).perform({
    tool: 'payments',
    input: { op: 'noteOrder', path: { id }, body: { note: secret } },
    expect: `post.order.note == "${secret}"`,
    reasoning: secret,
    claims: { password: secret },
  });
  payments.before = undefined;
  expect(outcome).toMatchObject({ status: 'failed' });
  await spansOf(trace.traceId);
  const exported = receiver.requests.length;
  await until(
    async () => receiver.requests.slice(exported).map(({ url }) => url),
    (urls) => urls.includes('/v1/metrics'),
  );
  expect(JSON.stringify(receiver.requests)).not.toContain(secret);
  expect(lines.join('')).not.toContain(secret);
  expect(lines.join('')).toContain(outcome.actionId);
});

test('a receiver that hangs or is gone delays no action, fails none, and does not hold up the end', async () => {
  const timed = async (): Promise<number> => {
    const start = performance.now();
    expect(await refund(agentIn(newTrace()))).toMatchObject({ status: 'success' });
    return performance.now() - start;
  };
  receiver.answers = false;
  const whenHanging = [await timed(), await timed(), await timed()];
  await receiver.stop();
  const whenGone = [await timed(), await timed(), await timed()];
  // An export would take its 10 seconds.
  expect(Math.max(...whenHanging, ...whenGone)).toBeLessThan(9_000);
  await gateway.stop();
  await stack.worker?.stop();
  const start = performance.now();
  await telemetry.stop();
  expect(performance.now() - start).toBeLessThan(9_000);
  expect(lines.filter((line) => line.includes('telemetry has a problem')).length).toBeLessThan(6);
});
