/** The operator's configuration: which tools there are, with which credentials, under which policies. */
import { access } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Fatigue, StatementRoles } from '../../activities/index.js';
import { asCountersignError, CountersignError } from '../action/errors.js';
import type { PasskeySettings } from '../action/passkey.js';
import { checkNotifications, type NotificationsConfig } from '../notify/notifier.js';
import type { GatewayConfig } from '../gateway/settings.js';
import type { Tool } from '../tools/tool.js';
import { passkeySettingsSchema } from '../trust/index.js';
import type { VerificationConfig } from '../verify/index.js';

export interface CountersignConfig extends VerificationConfig {
  /** Folder of the policy bundle, relative to the config file. */
  readonly policies: string;
  readonly tools: readonly Tool[];
  /** How long a grant may wait for its execution. Seconds, default 60. */
  readonly grantTtlSeconds?: number;
  /** Whether the person who answers for an agent may approve its actions. Default false. */
  readonly selfApproval?: boolean;
  /** How long a tool's look-up that cannot tell yet is asked again before an outcome is `unknown`. Milliseconds, default 30 000, at most 300 000. */
  readonly lookUpPatienceMs?: number;
  /** Roles of people who may freeze and lift freezes, resolve unknown outcomes, revoke what others gave and decide on what could not be undone. Of each kind, DEFAULT_ROLES unless given. */
  readonly roles?: Partial<StatementRoles>;
  /** Where passkeys are made and used; the same for workers and gateways. Without it, what policy wants a passkey for cannot be approved. */
  readonly passkeys?: PasskeySettings;
  /** How many approvals of one person, within how many seconds, are not too many. Default DEFAULT_FATIGUE. */
  readonly fatigue?: Partial<Fatigue>;
  /** Where the gateway is reached, and how it knows agents and people. For `countersign gateway` and `countersign dev`. */
  readonly gateway?: GatewayConfig;
  /** How people hear that something waits for them. Default: they are not told, and look. */
  readonly notifications?: NotificationsConfig;
}

export const DEFAULT_ROLES: StatementRoles = {
  unfreeze: ['operator'],
  unfreezeAll: ['platform-operator'],
  resolve: ['operator'],
  revoke: ['operator'],
  recover: ['operator'],
  freeze: ['operator'],
};

export const DEFAULT_FATIGUE: Fatigue = { yeses: 10, withinSeconds: 60 };

export const CONFIG_NAMES = ['countersign.config.mjs', 'countersign.config.js'] as const;

/** Types the config for editors; returns it as it is. */
export function defineConfig(config: CountersignConfig): CountersignConfig {
  return config;
}

/**
 * Loads the config module: `file`, else COUNTERSIGN_CONFIG, else `countersign.config.mjs` in the working folder.
 *
 * @throws CountersignError CONFIG_INVALID
 */
export async function loadConfig(file?: string, env: NodeJS.ProcessEnv = process.env): Promise<CountersignConfig> {
  const found = path.resolve(file ?? env['COUNTERSIGN_CONFIG'] ?? (await firstThatExists(CONFIG_NAMES)));
  let loaded: { default?: unknown };
  try {
    loaded = (await import(pathToFileURL(found).href)) as { default?: unknown };
  } catch (error) {
    throw new CountersignError('CONFIG_INVALID', `${found} cannot be loaded: ${asCountersignError(error).message}`, {
      field: 'config',
      expected: 'an ES module with a default export made by defineConfig()',
      fix: 'Create it (see the README), or name another with --config.',
      cause: error,
    });
  }
  return {
    ...checkConfig(loaded.default, found),
    policies: path.resolve(path.dirname(found), (loaded.default as CountersignConfig).policies),
  };
}

/** @throws CountersignError CONFIG_INVALID */
export function checkConfig(value: unknown, source: string): CountersignConfig {
  const invalid = (field: string, expected: string): CountersignError =>
    new CountersignError('CONFIG_INVALID', `${source}: ${field} must be ${expected}.`, {
      field,
      expected,
      fix: `Correct ${field} in ${source}.`,
    });
  if (typeof value !== 'object' || value === null) throw invalid('default export', 'a config made by defineConfig()');
  const config = value as Partial<CountersignConfig>;
  if (typeof config.policies !== 'string') throw invalid('policies', 'the path of a policy folder');
  if (!Array.isArray(config.tools)) throw invalid('tools', 'a list of tools');
  const { grantTtlSeconds: ttl } = config;
  if (ttl !== undefined && !(Number.isInteger(ttl) && ttl >= 5 && ttl <= 3600)) {
    throw invalid('grantTtlSeconds', 'a whole number of seconds from 5 to 3600');
  }
  const { lookUpPatienceMs: patience } = config;
  if (patience !== undefined && !(Number.isInteger(patience) && patience >= 0 && patience <= 300_000)) {
    throw invalid('lookUpPatienceMs', 'a whole number of milliseconds from 0 to 300000');
  }
  for (const [kind, roles] of Object.entries((config.roles ?? {}) as Record<string, unknown>)) {
    const known = Object.hasOwn(DEFAULT_ROLES, kind);
    if (!known) throw invalid(`roles.${kind}`, `absent: there are ${Object.keys(DEFAULT_ROLES).join(', ')}`);
    if (!Array.isArray(roles) || !roles.every((role) => typeof role === 'string' && role !== '')) {
      throw invalid(`roles.${kind}`, 'a list of roles');
    }
  }
  if (config.notifications !== undefined) checkNotifications(config.notifications);
  checkPeople(config, invalid);
  const names = new Set<string>();
  for (const tool of config.tools as Partial<Tool>[]) {
    if (typeof tool.name !== 'string' || typeof tool.execute !== 'function') throw invalid('tools', 'a list of tools');
    if (names.has(tool.name)) throw invalid('tools', `a list without a second tool named "${tool.name}"`);
    if (typeof tool.environment !== 'string' || tool.environment === '')
      throw invalid(`tools.${tool.name}.environment`, 'a name');
    names.add(tool.name);
  }
  return config as CountersignConfig;
}

type Invalid = (field: string, expected: string) => CountersignError;

function checkPeople({ passkeys, fatigue = {} }: Partial<CountersignConfig>, invalid: Invalid): void {
  if (passkeys !== undefined) {
    const { error } = passkeySettingsSchema.safeParse(passkeys);
    const issue = error?.issues[0];
    if (issue !== undefined) throw invalid(['passkeys', ...issue.path].join('.'), issue.message);
  }
  for (const [name, value] of Object.entries(fatigue)) {
    if (!Object.hasOwn(DEFAULT_FATIGUE, name)) throw invalid(`fatigue.${name}`, 'absent');
    if (!(Number.isInteger(value) && value >= 1 && value <= 86_400)) {
      throw invalid(`fatigue.${name}`, 'a whole number from 1 to 86400');
    }
  }
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
