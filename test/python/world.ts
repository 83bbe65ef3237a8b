/** What the tests in Python run against: a real gateway and worker, a database to prepare and to judge by, and a scripted model. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { rootCertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { CLERK_SCHEMA, clerkSays } from '../support/clerk.js';
import { startTestGateway } from '../support/gateway.js';
import { virtualEnvironment } from '../support/python.js';
import { ROOT } from '../support/root.js';
import { startScriptedModel } from '../support/scripted-model.js';
import { shopTool, startStack, type Stack } from '../support/stack.js';

const PACKAGE = path.join(ROOT, 'clients/python');

export interface World {
  /** Runs a program of the virtual environment in the package's folder. @throws Error with what it printed, when it fails or takes too long */
  succeeds(program: string, ...args: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

/** @param requirements the name of a file beside this one: the packages of the virtual environment */
export async function startWorld(name: string, requirements: string): Promise<World> {
  const programs = await virtualEnvironment(
    name,
    fileURLToPath(new URL(requirements, import.meta.url)),
    'check:python',
  );
  const [stack, model] = await Promise.all([shop(), startScriptedModel(clerkSays)]);
  const gateway = await startTestGateway(stack, { gateway: { limits: { requestsPerMinute: 100_000 } } });
  const control = sqlServer(stack);
  control.listen(0, '127.0.0.1');
  await once(control, 'listening');
  const folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-python-'));
  // Each client of HTTP reads every authority that there is, for 45 ms, and there are hundreds of clients. Nothing here speaks TLS.
  const authorities = path.join(folder, 'authorities.pem');
  await writeFile(authorities, rootCertificates[0] as string);
  const agent = await gateway.agent();
  const { cookie = '', 'x-csrf-token': csrf = '' } = (await gateway.person()).headers;
  const env = {
    ...process.env,
    PYTHONPATH: path.join(PACKAGE, 'src'),
    // Frameworks take ten seconds to compile, whatever the machine says, and the repository stays clean.
    PYTHONDONTWRITEBYTECODE: '',
    PYTHONPYCACHEPREFIX: path.join(programs, '../bytecode'),
    MYPY_CACHE_DIR: path.join(programs, '../mypy'),
    SSL_CERT_FILE: authorities,
    COUNTERSIGN_GATEWAY_URL: gateway.url,
    COUNTERSIGN_API_KEY: (agent.headers['authorization'] as string).replace('Bearer ', ''),
    PERSON_COOKIE: cookie,
    PERSON_CSRF: csrf,
    CONTROL_URL: `http://127.0.0.1:${(control.address() as AddressInfo).port}`,
    OPENAI_BASE_URL: model.url,
    OPENAI_API_KEY: 'none',
    // CrewAI tells its makers of each run, unless it is told not to.
    CREWAI_DISABLE_TELEMETRY: 'true',
    CREWAI_TRACING_ENABLED: 'false',
    OTEL_SDK_DISABLED: 'true',
  };
  return {
    succeeds: (program, ...args) => succeeds(path.join(programs, program), args, env),
    async stop() {
      control.close();
      await gateway.stop();
      await Promise.all([stack.stop(), model.stop(), rm(folder, { recursive: true, force: true })]);
    },
  };
}

/** One person decides on everything, sooner than any person reads. */
async function shop(): Promise<Stack> {
  const stack = await startStack({ schema: CLERK_SCHEMA, worker: false });
  const { policies, shopUrl } = stack;
  const approvalRateLimit = { approvals: 1000 };
  await stack.startWorker({ config: { policies, tools: [shopTool(shopUrl)], approvalRateLimit } });
  return stack;
}

function sqlServer(stack: Stack): Server {
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      stack.shop.query<object>(Buffer.concat(chunks).toString()).then(
        ({ rows }) => response.end(JSON.stringify(rows)),
        (error: unknown) => response.writeHead(400).end(String(error)),
      );
    });
  });
}

const LONGEST_MS = 240_000;

async function succeeds(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn(program, args, { cwd: PACKAGE, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: LONGEST_MS });
  let told = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (told += part.toString()));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (code !== 0) throw new Error(`${program} ended with ${code ?? signal}:\n${told}`);
  return told;
}
