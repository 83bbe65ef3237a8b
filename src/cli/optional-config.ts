/** The config of a command that can do without one. */
import type { CountersignConfig } from '../config/config.js';
import type { Context } from './context.js';

/** Undefined where none was named and none is in the working folder. Its tools are closed with the command. @throws CountersignError CONFIG_INVALID */
export async function optionalConfig(
  context: Context,
  file: string | undefined,
): Promise<CountersignConfig | undefined> {
  const { configFile, loadConfig } = await import('../config/config.js');
  const named = configFile(file, context.env);
  if (named === undefined) return undefined;
  const loaded = await loadConfig(named, context.env);
  for (const tool of loaded.tools) context.defer(() => tool.close());
  return loaded;
}
