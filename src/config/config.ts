/** The operator's configuration: which tools there are, with which credentials, under which policies. */
import { access } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import type { ApprovalRateLimit, CommandRoles } from '../../activities/index.js';
import { configInvalid } from '../action/errors-config.js';
import { asCountersignError, CountersignError } from '../action/errors.js';
import { variable } from '../environment.js';
import type { PasskeySettings } from '../action/passkey.js';
import type { Tool } from '../tools/tool.js';
import { passkeySettingsSchema } from '../trust/index.js';
import type { VerificationConfig } from '../verify/index.js';
import { gatewayConfigSchema, type GatewayConfig } from './gateway.js';
import { notificationsSchema, type NotificationsConfig } from './notifications.js';
import { inFolder, policiesSchema, type PoliciesConfig } from './policies.js';
import { besideConfig, privacySchema, type PrivacyConfig } from './privacy.js';
import { oversightSchema, type OversightConfig } from './oversight.js';
import { retentionSchema, type RetentionConfig } from './retention.js';
import { firstProblem, nonEmpty, whole } from './schema.js';
import { trailSchema, type TrailConfig } from './trail.js';
import { telemetrySchema, type TelemetryConfig } from './telemetry.js';

export { editedFolder, folderRefused, policySourceOf, type PoliciesConfig } from './policies.js';

/** What the operator configures for workers and gateways. docs/config.md lists it, and the bounds of each number. */
export interface CountersignConfig extends VerificationConfig {
  /** Where workers take their policy from: `{ from: 'ledger' }`, or a folder, relative to the config file. Required. */
  readonly policies: string | PoliciesConfig;
  /** What agents may propose to use: made by `postgres()`, `http()`, `mcp()`, or implementations of `Tool`. No two have the same name. Required. */
  readonly tools: readonly Tool[];
  /** How long a grant may wait for its execution. Seconds from 5 to 3,600, default 60. */
  readonly grantTtlSeconds?: number;
  /** Whether the person who answers for an agent may approve its actions, and resolve them. Default false. */
  readonly selfApproval?: boolean;
  /** How long a tool's look-up that cannot tell yet is asked again before an outcome is `unknown`. Milliseconds from 0 to 300,000, default 30,000. */
  readonly lookUpMaxWaitMs?: number;
  /**
   * Roles of people who may freeze and lift freezes, resolve unknown outcomes, revoke what others gave and decide on what could not be
   * undone. Default of each: `operator`; of `unfreezeAll` and `pins`: `platform-operator`; of `policy`: `policy-admin`.
   */
  readonly roles?: Partial<CommandRoles>;
  /**
   * Whether workers refuse pins of MCP servers that no signed command accepted (`countersign mcp pin --as`). Default: true where
   * COUNTERSIGN_ENV is `production`, else false.
   */
  readonly signedPins?: boolean;
  /** Where passkeys are made and used; the same for workers and gateways. Without it, what policy wants a passkey for cannot be approved. */
  readonly passkeys?: PasskeySettings;
  /** How many approvals one person may give (`approvals`, default 10) within how many seconds (`withinSeconds`, default 60). Each from 1 to 86,400. */
  readonly approvalRateLimit?: Partial<ApprovalRateLimit>;
  /** Where the gateway is reached, and how it knows agents and people. For `countersign gateway` and `countersign dev`. Default: on loopback, with API keys alone. */
  readonly gateway?: GatewayConfig;
  /** Versions the workers, so that an upgrade is promoted when its workers run. Default: COUNTERSIGN_DEPLOYMENT, else they are not versioned. */
  readonly deployment?: DeploymentConfig;
  /** How people hear that something waits for them. Default none: they look into the inbox. */
  readonly notifications?: NotificationsConfig;
  /** How often the audit trail is signed, and where the signatures are put. Default: every 5 minutes, in the ledger alone. */
  readonly trail?: TrailConfig;
  /** Where traces and metrics go, with OpenTelemetry's SDK installed. Default: what its variables (`OTEL_…`) say, else nowhere. */
  readonly telemetry?: TelemetryConfig;
  /** What of an action can be read where. Default: everything that passes through Temporal can be read there. */
  readonly privacy?: PrivacyConfig;
  /** How it is shown that people look at what they decide. */
  readonly oversight?: OversightConfig;
  /** For how long the ledger keeps what nothing needs any more: days by kind, or `false` for good. */
  readonly retention?: RetentionConfig;
}

/** A deployment of workers (https://docs.temporal.io/worker-versioning). */
export interface DeploymentConfig {
  /** The same for all versions. Letters, digits, `_` and `-`. */
  readonly name: string;
  /** The version. Default: COUNTERSIGN_BUILD_ID, else a digest of the workflow code, so that versions differ where it does. */
  readonly buildId?: string;
}

export const DEFAULT_ROLES: CommandRoles = {
  unfreeze: ['operator'],
  unfreezeAll: ['platform-operator'],
  resolve: ['operator'],
  revoke: ['operator'],
  recover: ['operator'],
  freeze: ['operator'],
  policy: ['policy-admin'],
  pins: ['platform-operator'],
  canary: ['operator'],
  oversight: ['operator'],
};

export const DEFAULT_APPROVAL_RATE_LIMIT: ApprovalRateLimit = { approvals: 10, withinSeconds: 60 };

export const CONFIG_NAMES = ['countersign.config.mjs', 'countersign.config.js'] as const;

/** Types the config for editors; returns it as it is. */
export function defineConfig(config: CountersignConfig): CountersignConfig {
  return config;
}

/** Which file is meant where a config can be absent: the one that is named, or the one in the working folder. */
export function configFile(file: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  return file ?? variable('COUNTERSIGN_CONFIG', env) ?? CONFIG_NAMES.find((name) => existsSync(name));
}

/**
 * Loads the config module: `file`, else COUNTERSIGN_CONFIG, else `countersign.config.mjs` in the working folder.
 *
 * @throws CountersignError CONFIG_INVALID
 */
export async function loadConfig(file?: string, env: NodeJS.ProcessEnv = process.env): Promise<CountersignConfig> {
  const found = path.resolve(file ?? variable('COUNTERSIGN_CONFIG', env) ?? (await firstThatExists(CONFIG_NAMES)));
  let loaded: { default?: unknown };
  try {
    loaded = (await import(pathToFileURL(found).href)) as { default?: unknown };
  } catch (error) {
    throw new CountersignError('CONFIG_INVALID', `${found} cannot be loaded: ${asCountersignError(error).message}`, {
      field: 'config',
      expected: 'an ES module with a default export made by defineConfig()',
      fix: existsSync(found)
        ? 'Correct what the message says; a package that is not found has to be installed beside the config.'
        : 'Create it with `countersign init`, or name another with --config.',
      cause: error,
    });
  }
  const config = checkConfig(loaded.default, found);
  const folder = path.dirname(found);
  return {
    ...config,
    policies: inFolder(folder, config.policies),
    ...(config.privacy === undefined ? {} : { privacy: besideConfig(folder, config.privacy) }),
  };
}

const deploymentSchema = z.strictObject({
  // The server joins the two with a dot.
  name: z.string().regex(/^[\w-]{1,100}$/, { error: 'letters, digits, _ and -, at most 100' }),
  buildId: z
    .string()
    .regex(/^[\w.+-]{1,100}$/, { error: 'letters, digits, _, ., + and -, at most 100' })
    .optional(),
} satisfies Record<keyof DeploymentConfig, z.ZodType>);

/**
 * What the workers are versioned as: the environment's name and build id before the config's, because a deploy knows its own version.
 *
 * @throws CountersignError CONFIG_INVALID
 */
export function deploymentOf(
  { deployment }: Pick<CountersignConfig, 'deployment'>,
  env: NodeJS.ProcessEnv,
): DeploymentConfig | undefined {
  const name = variable('COUNTERSIGN_DEPLOYMENT', env) ?? deployment?.name;
  const buildId = variable('COUNTERSIGN_BUILD_ID', env) ?? deployment?.buildId;
  if (name === undefined) {
    if (buildId === undefined) return undefined;
    throw configInvalid('COUNTERSIGN_BUILD_ID', 'COUNTERSIGN_DEPLOYMENT beside it', 'environment');
  }
  const given = { name, ...(buildId === undefined ? {} : { buildId }) };
  const { error } = deploymentSchema.safeParse(given);
  if (error !== undefined) throw firstProblem(error, 'deployment', 'environment');
  return given;
}

const roleList = z.array(nonEmpty('the name of a role'), { error: 'a list of roles' });
/** What the loaded module's default export must be. */
export const configSchema = z.strictObject({
  policies: policiesSchema,
  tools: z
    .array(
      z
        .custom<Tool>(isTool, { error: 'a tool made by postgres(), http() or mcp(), or one that implements Tool' })
        .refine(({ environment }) => typeof environment === 'string' && environment !== '', {
          path: ['environment'],
          error: 'the name of an environment, such as production',
        }),
      { error: 'a list of tools' },
    )
    .superRefine((tools, context) => {
      const names = tools.map((tool) => tool?.name);
      const twice = names.find((name, index) => names.indexOf(name) < index);
      if (twice !== undefined) {
        context.addIssue({ code: 'custom', message: `a list without a second tool named "${twice}"` });
      }
    }),
  grantTtlSeconds: whole(5, 3600, 'seconds').optional(),
  selfApproval: z.boolean({ error: 'true or false' }).optional(),
  lookUpMaxWaitMs: whole(0, 300_000, 'milliseconds').optional(),
  roles: z
    .strictObject({
      unfreeze: roleList.optional(),
      unfreezeAll: roleList.optional(),
      resolve: roleList.optional(),
      revoke: roleList.optional(),
      recover: roleList.optional(),
      freeze: roleList.optional(),
      policy: roleList.optional(),
      pins: roleList.optional(),
      canary: roleList.optional(),
      oversight: roleList.optional(),
    } satisfies Record<keyof CommandRoles, z.ZodType>)
    .optional(),
  signedPins: z.boolean({ error: 'true or false' }).optional(),
  passkeys: passkeySettingsSchema.optional(),
  approvalRateLimit: z
    .strictObject({ approvals: whole(1, 86_400).optional(), withinSeconds: whole(1, 86_400, 'seconds').optional() })
    .optional(),
  gateway: gatewayConfigSchema.optional(),
  deployment: deploymentSchema.optional(),
  notifications: notificationsSchema.optional(),
  trail: trailSchema.optional(),
  telemetry: telemetrySchema.optional(),
  privacy: privacySchema.optional(),
  oversight: oversightSchema.optional(),
  retention: retentionSchema.optional(),
  // Compiled, and so checked, when the worker starts.
  invariants: z.record(z.string(), z.unknown()).optional(),
  semantic: z.unknown().optional(),
} satisfies Record<keyof CountersignConfig, z.ZodType>);

function isTool(value: unknown): value is Tool {
  if (typeof value !== 'object' || value === null) return false;
  const { name, execute } = value as Partial<Tool>;
  return typeof name === 'string' && typeof execute === 'function';
}

/** Returns the same object: tools and channels are not data. @throws CountersignError CONFIG_INVALID */
export function checkConfig(value: unknown, source: string): CountersignConfig {
  if (typeof value !== 'object' || value === null) {
    throw configInvalid('default export', 'a config made by defineConfig()', source);
  }
  const { error } = configSchema.safeParse(value);
  if (error !== undefined) throw firstProblem(error, '', source, 'default export');
  return value as CountersignConfig;
}

async function firstThatExists(names: readonly string[]): Promise<string> {
  for (const name of names) {
    const exists = await access(name).then(
      () => true,
      () => false,
    );
    if (exists) return name;
  }
  return names[0] as string;
}
