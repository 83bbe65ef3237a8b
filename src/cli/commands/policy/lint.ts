/** `countersign policy lint`: what a worker would refuse in a bundle, and what it would load although it cannot be meant so. */
import type { Command } from 'commander';
import type { Finding } from '../../../policy/authoring/lint/finding.js';
import { locationText } from '../../../policy/cedar.js';
import { sanitize } from '../../../presentation/sanitize.js';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import type { Exit } from '../../exit-codes.js';
import type { Paint } from '../../output.js';
import { bundleSource, CONFIG_OPTION, FOLDER_ARGUMENT, type SourceOptions } from './bundle-source.js';

interface LintOptions extends SourceOptions {
  readonly roles?: string;
  readonly strict?: boolean;
}

export function lintPolicy(policy: Command): void {
  policy
    .command('lint')
    .argument(...FOLDER_ARGUMENT)
    .description('find what is wrong in a policy folder: what workers refuse, and what cannot be meant so')
    .option(...CONFIG_OPTION)
    .option('--roles <roles>', 'all roles that people and agents have: dba,support,admin_user')
    .option('--strict', 'fail on warnings too')
    .addHelpText(
      'after',
      examples(
        'countersign policy lint',
        'countersign policy lint ./policies --roles admin_user,dba --strict',
        `countersign policy lint --json | jq '.findings[] | select(.severity == "error")'`,
      ) + '\n\nExits with 1 when there is an error. docs/policy-authoring.md says what each code means.',
    )
    .action(run(lintFolder));
}

async function lintFolder(context: Context, given: string | undefined, options: LintOptions): Promise<Exit> {
  const { folder, tools, peoplesRoles } = await bundleSource(context, given, options);
  const [{ lint }, { loadBundle }] = await Promise.all([
    import('../../../policy/authoring/lint/lint.js'),
    import('../../../policy/index.js'),
  ]);
  const roles = options.roles?.split(',').map((role) => role.trim());
  const people = roles === undefined ? peoplesRoles : [...roles, ...(peoplesRoles ?? [])];
  const { findings, notChecked } = await lint(() => loadBundle(folder), {
    tools,
    agentRoles: roles,
    peoplesRoles: people,
  });
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const warnings = findings.length - errors;
  const ok = errors === 0 && (warnings === 0 || options.strict !== true);
  const { out } = context;
  out.result({ ok, folder, errors, warnings, findings, notChecked }, () =>
    [
      ...findings.map((one) => findingText(one, out.paint)),
      ...(ok && findings.length === 0 ? [`${out.paint.green('✓')} nothing is wrong in ${sanitize(folder)}`] : []),
      ...(findings.length === 0 ? [] : [`${counted(errors, 'error')}, ${counted(warnings, 'warning')}`]),
      ...notChecked.map((what) => out.paint.dim(`not checked: ${sanitize(what)}`)),
    ].join('\n'),
  );
  return ok ? 'success' : 'fault';
}

function findingText({ code, severity, at, id, message, fix }: Finding, paint: Paint): string {
  const place = typeof at === 'string' ? at : locationText(at);
  const mark = severity === 'error' ? paint.red(code) : paint.yellow(code);
  const who = id === undefined ? '' : `${paint.bold(sanitize(id))}: `;
  return `${sanitize(place)} ${mark} ${who}${sanitize(message)}\n  ${paint.dim('fix')} ${sanitize(fix)}`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
