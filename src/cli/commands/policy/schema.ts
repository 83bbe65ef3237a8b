/** `countersign policy schema`: the whole schema, with the arguments of the registered tools. */
import path from 'node:path';
import type { Command } from 'commander';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import { usageError } from '../../usage-error.js';
import { bundleSource, CONFIG_OPTION, FOLDER_ARGUMENT, type SourceOptions } from './bundle-source.js';

interface SchemaOptions extends SourceOptions {
  readonly write?: boolean;
}

export function policySchema(policy: Command): void {
  policy
    .command('schema')
    .argument(...FOLDER_ARGUMENT)
    .description("generate the schema's part about arguments, from the operations of the registered tools")
    .option(...CONFIG_OPTION)
    .option('--write', 'write it into schema.cedarschema instead of printing it')
    .addHelpText(
      'after',
      examples(
        'countersign policy schema',
        'countersign policy schema ./policies --config countersign.config.mjs --write',
      ) +
        '\n\nA folder without a schema gets one, with principals, actions, resources and context. In one that is there, only the part between its two marks is written. Policies then see these arguments, and decisions record them.',
    )
    .action(run(writeSchema));
}

async function writeSchema(context: Context, given: string | undefined, options: SchemaOptions): Promise<void> {
  const { folder, tools } = await bundleSource(context, given, options);
  if (tools === undefined) {
    throw usageError('There is no config, so there are no tools to generate a schema from.', {
      field: '--config',
      expected: 'a config that registers tools',
      fix: 'Name it with --config.',
    });
  }
  const [{ writeFile }, { generatedSchema }, { SCHEMA_FILE }] = await Promise.all([
    import('node:fs/promises'),
    import('../../../policy/authoring/schema/generate.js'),
    import('../../../policy/rules.js'),
  ]);
  const file = path.join(folder, SCHEMA_FILE);
  const before = await schemaIn(file);
  const schema = generatedSchema(before ?? (await startersSchema()), tools);
  const changed = schema !== before;
  if (options.write === true && changed) await writeFile(file, schema);
  const { out } = context;
  out.result({ file, changed, written: options.write === true && changed, schema }, () => {
    if (options.write !== true) return schema;
    return changed ? `${out.paint.green('✓')} ${file} written` : `${file} is up to date`;
  });
}

/** Undefined where there is none yet. @throws CountersignError USAGE */
async function schemaIn(file: string): Promise<string | undefined> {
  const [{ readFile }, { existsSync }] = await Promise.all([import('node:fs/promises'), import('node:fs')]);
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' && existsSync(path.dirname(file))) return undefined;
    throw usageError(`${file} cannot be read: ${message}`, { field: 'folder', expected: 'a policy folder' });
  }
}

/** What every policy can speak of, whatever tools there are: principals, actions, resources and context. */
async function startersSchema(): Promise<string> {
  const [{ loadBundle, starterFolder }, { SCHEMA_FILE }] = await Promise.all([
    import('../../../policy/index.js'),
    import('../../../policy/rules.js'),
  ]);
  const { files } = await loadBundle(starterFolder());
  return files[SCHEMA_FILE] ?? '';
}
