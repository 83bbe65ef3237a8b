/** docs/clients.md: every snippet runs against a real gateway, with a scripted model behind the OpenAI API, and waits for a person who agrees. */
import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CLERK_SCHEMA, clerkSays, rowsOf } from '../support/clerk.js';
import { startTestGateway, type Sender, type TestGateway } from '../support/gateway.js';
import { ROOT } from '../support/root.js';
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.js';
import { startStack, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { scratch } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/clients.md'), 'utf8');
const SNIPPETS = [...page.matchAll(/^```ts (\S+)\n([^]*?)^```/gm)].map(
  ([, name = '', code = '']) => [name, code] as const,
);

let folder: string;
let stack: Stack;
let gateway: TestGateway;
let model: ScriptedModel;
let dana: Sender;
let key: string;

beforeAll(async () => {
  folder = await scratch('clients');
  stack = await startStack({ schema: CLERK_SCHEMA });
  gateway = await startTestGateway(stack);
  dana = await gateway.person();
  key = ((await gateway.agent()).headers['authorization'] as string).replace('Bearer ', '');
  model = await startScriptedModel(clerkSays);
});
afterAll(async () => {
  await gateway?.stop();
  await Promise.all([stack?.stop(), model?.stop(), rm(folder, { recursive: true, force: true })]);
});

/** The snippet on the sources. The scripted model speaks the chat API, which the OpenAI Agents SDK uses when it is told to. */
function onClientSources(code: string): string {
  const chat =
    "import { setOpenAIAPI, setTracingDisabled } from '@openai/agents';\nsetOpenAIAPI('chat_completions');\nsetTracingDisabled(true);\n";
  const onSources = code.replaceAll(
    /from 'countersign-client(?:\/([\w-]+))?'/g,
    (_, entry = 'index') => `from '${ROOT}/clients/typescript/src/${entry}.ts'`,
  );
  return code.includes("'@openai/agents'") ? `${chat}${onSources}` : onSources;
}

async function approveWhatComes(): Promise<void> {
  const asked = await until(
    async () =>
      (await dana.get('/v1/approvals')).body['approvalRequests'] as { actionId: string; shownDigest: string }[],
    (found) => found.length > 0,
  );
  const { actionId, shownDigest } = asked[0] as { actionId: string; shownDigest: string };
  await dana.post(`/v1/actions/${actionId}/decision`, { shownDigest, verdict: 'approve' });
}

test('the page has a snippet for each entry of the package', async () => {
  const { exports } = JSON.parse(await readFile(path.join(ROOT, 'clients/typescript/package.json'), 'utf8')) as {
    exports: Record<string, unknown>;
  };
  for (const entry of Object.keys(exports).filter((each) => /^\.\/[\w-]+$/.test(each)))
    expect(page).toContain(`'countersign-client${entry.slice(1)}'`);
  expect(SNIPPETS.length).toBeGreaterThanOrEqual(5);
});

test("the package's README begins with the same", async () => {
  const readme = await readFile(path.join(ROOT, 'clients/typescript/README.md'), 'utf8');
  expect(readme).toContain(`\`\`\`ts\n${SNIPPETS.find(([name]) => name === 'propose.ts')?.[1]}\`\`\``);
});

test.each(SNIPPETS)('%s', async (name, code) => {
  await stack.shop.query(rowsOf('sessions', 'stale', 120));
  const file = path.join(folder, name);
  await writeFile(file, onClientSources(code));
  const env = {
    ...process.env,
    COUNTERSIGN_GATEWAY_URL: gateway.url,
    COUNTERSIGN_API_KEY: key,
    OPENAI_BASE_URL: model.url,
    OPENAI_API_KEY: 'none',
  };
  const running = promisify(execFile)(process.execPath, ['--import', 'tsx', file], { cwd: ROOT, env, timeout: 50_000 });
  const [{ stdout }] = await Promise.all([running, approveWhatComes()]);
  expect(stdout).toContain('success');
  const { rowCount } = await stack.shop.query("SELECT FROM sessions WHERE note = 'stale'");
  expect(rowCount).toBe(0);
});
