/** The world of a run: databases, keys, policies, the payment service, and the ways in for agents, people and the judge. */
import { randomBytes, randomUUID } from 'node:crypto';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { freePort } from '../../src/dev/index.js';
import type { TemporalSettings } from '../../src/environment.js';
import { Ledger } from '../../src/ledger/index.js';
import {
  generateKeyringFile,
  issueAgent,
  issueApprover,
  parseKeyring,
  type Credential,
  type Keyring,
} from '../../src/trust/index.js';
import { budgetsFor, limitsYaml, type Budget } from '../limits.js';
import type { MischiefOptions } from '../payments/mischief.js';
import { startService, type PaymentService, type ServiceOptions } from '../payments/service.js';
import type { Plan } from '../plan.js';
import { buildShop } from './shop.js';
import type { WorkerPlaces } from './worker.js';

export const TENANT = 'chaos';

const RULES = fileURLToPath(new URL('../policies/rules.cedar', import.meta.url));
const SCHEMA = fileURLToPath(new URL('../../policies/starter/schema.cedarschema', import.meta.url));

export interface WorldOptions {
  readonly plan: Plan;
  /** Where the journal and the policies are. */
  readonly folder: string;
  /** Of a superuser; databases and a role are made. */
  readonly postgresUrl: string;
  readonly temporal: TemporalSettings;
  /** How the payment service misbehaves. */
  readonly mischief: Omit<MischiefOptions, 'seed'>;
  /** Default: in a process of its own, which can be killed. */
  readonly startPayments?: (options: ServiceOptions) => Promise<PaymentService>;
}

export interface People {
  readonly finance: readonly Credential[];
  readonly lead: Credential;
  /** Has no role that any policy names. */
  readonly bystander: Credential;
  readonly operator: Credential;
  /** Changes the policy, where the ledger says which one is active. */
  readonly admin: Credential;
}

export class World {
  readonly temporal: TemporalSettings;
  readonly places: WorkerPlaces;
  readonly keyring: Keyring;
  readonly ledger: Ledger;
  readonly budgets: readonly Budget[];
  readonly agents: ReadonlyMap<string, Credential>;
  readonly people: People;
  /** The shop, as its owner sees it. */
  readonly shopOwnerUrl: string;
  readonly journalFile: string;
  readonly #service: ServiceOptions;
  #payments: PaymentService;

  private constructor(
    parts: Omit<World, 'restartPayments' | 'calm' | 'close'>,
    service: ServiceOptions,
    payments: PaymentService,
  ) {
    this.temporal = parts.temporal;
    this.places = parts.places;
    this.keyring = parts.keyring;
    this.ledger = parts.ledger;
    this.budgets = parts.budgets;
    this.agents = parts.agents;
    this.people = parts.people;
    this.shopOwnerUrl = parts.shopOwnerUrl;
    this.journalFile = parts.journalFile;
    this.#service = service;
    this.#payments = payments;
  }

  static async open({ startPayments = startService, ...options }: WorldOptions): Promise<World> {
    const { plan, folder, postgresUrl, temporal, mischief } = options;
    const id = randomUUID().replaceAll('-', '').slice(0, 12);
    const role = `chaos_agent_${id}`;
    const password = randomBytes(16).toString('hex');
    await asSuperuser(postgresUrl, [
      `CREATE ROLE ${role} LOGIN PASSWORD '${password}'`,
      `CREATE DATABASE chaos_ledger_${id}`,
      `CREATE DATABASE chaos_shop_${id}`,
    ]);
    const ledgerUrl = database(postgresUrl, `chaos_ledger_${id}`);
    const shopOwnerUrl = database(postgresUrl, `chaos_shop_${id}`);
    const shopUrl = new URL(shopOwnerUrl);
    shopUrl.username = role;
    shopUrl.password = password;
    await buildShop(
      shopOwnerUrl,
      role,
      plan.actions.map(({ actionId }) => actionId),
    );
    const ledger = await Ledger.connect({ url: ledgerUrl, poolSize: 4 });
    await ledger.migrate();

    const budgets = budgetsFor(plan);
    const policies = path.join(folder, 'policies');
    await mkdir(policies, { recursive: true });
    await copyFile(RULES, path.join(policies, 'rules.cedar'));
    await copyFile(SCHEMA, path.join(policies, 'schema.cedarschema'));
    await writeFile(path.join(policies, 'limits.yaml'), limitsYaml(budgets));

    const keys = JSON.stringify(await generateKeyringFile());
    const keyring = await parseKeyring(keys, 'chaos');
    const agents = new Map<string, Credential>();
    for (const { id: agent, roles } of plan.agents) {
      agents.set(agent, await issueAgent(keyring, { id: agent, tenant: TENANT, roles, scopes: ['*'] }));
    }
    const person = (name: string, roles: readonly string[]): Promise<Credential> =>
      issueApprover(keyring, { id: name, tenant: TENANT, roles });
    const people: People = {
      finance: await Promise.all(['fay', 'finn', 'frida'].map((name) => person(name, ['finance']))),
      lead: await person('lee', ['lead']),
      bystander: await person('bo', ['visitor']),
      operator: await person('olga', ['operator']),
      admin: await person('ada', ['policy-admin']),
    };

    const port = await freePort();
    const journalFile = path.join(folder, 'payments.jsonl');
    const service: ServiceOptions = { port, journal: journalFile, mischief: { seed: plan.seed, ...mischief } };
    const payments = await startPayments(service);
    const places: WorkerPlaces = {
      temporal,
      ledgerUrl,
      shopUrl: shopUrl.href,
      paymentsUrl: `http://127.0.0.1:${port}`,
      policies,
      policySource: plan.policies,
      keys,
    };
    return new World(
      { temporal, places, keyring, ledger, budgets, agents, people, shopOwnerUrl, journalFile },
      service,
      payments,
    );
  }

  /** Kills the payment service and starts it again on the same journal. What it had put off is gone. */
  async restartPayments(): Promise<void> {
    await this.#payments.kill();
    this.#payments = await startService(this.#service);
  }

  /** From now on the payment service behaves. */
  calm(): void {
    this.#payments.say('calm');
  }

  async close(): Promise<void> {
    await this.#payments.kill();
    await this.ledger.close();
  }
}

function database(url: string, name: string): string {
  const named = new URL(url);
  named.pathname = `/${name}`;
  return named.href;
}

async function asSuperuser(url: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
