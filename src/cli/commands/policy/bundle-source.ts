/** Which bundle a command of `countersign policy` is about, and which tools and roles it is written for. */
import type { CountersignConfig } from '../../../config/config.js';
import { editedFolder } from '../../../config/policies.js';
import type { RegisteredTool } from '../../../policy/authoring/registered.js';
import type { Context } from '../../context.js';
import { optionalConfig } from '../../optional-config.js';
import { usageError } from '../../usage-error.js';

export interface SourceOptions {
  readonly config?: string;
}

export interface BundleSource {
  readonly folder: string;
  /** Absent when there is no config. */
  readonly tools?: readonly RegisteredTool[];
  /** What people's roles are called, where the config maps those of an identity provider. */
  readonly peoplesRoles?: readonly string[];
}

export const FOLDER_ARGUMENT = ['[folder]', "the policy folder; default: the config's, else ./policies"] as const;
export const CONFIG_OPTION = [
  '--config <file>',
  'the config, whose tools the rules are for; default: COUNTERSIGN_CONFIG, else countersign.config.mjs if it is there',
] as const;

/** @throws CountersignError USAGE when nothing says which folder, CONFIG_INVALID */
export async function bundleSource(
  context: Context,
  folder: string | undefined,
  options: SourceOptions,
): Promise<BundleSource> {
  const [config, { existsSync }] = await Promise.all([optionalConfig(context, options.config), import('node:fs')]);
  const found = folder ?? folderIn(config) ?? (existsSync('policies') ? 'policies' : undefined);
  if (found === undefined) {
    throw usageError('Nothing says which policy folder is meant.', {
      field: 'folder',
      expected: 'a folder with *.cedar and schema.cedarschema',
      fix: 'Name the folder, or the config with --config; `countersign policy init FOLDER` makes one.',
    });
  }
  if (config === undefined) return { folder: found };
  const { registeredTools } = await import('../../../policy/authoring/registered.js');
  const mapped = config.gateway?.oidc?.roles;
  return {
    folder: found,
    tools: registeredTools(config.tools),
    ...(mapped === undefined ? {} : { peoplesRoles: [...new Set(Object.values(mapped))].sort() }),
  };
}

/** A worker that takes its policy from the ledger has no folder. */
function folderIn(config: CountersignConfig | undefined): string | undefined {
  return config === undefined ? undefined : editedFolder(config);
}
