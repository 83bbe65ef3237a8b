/** Lint: everything that a worker refuses in a bundle, and what it would load although it cannot be meant so. */
import { asCountersignError } from '../../../action/errors.js';
import type { PolicyBundle } from '../../bundle.js';
import { compilePolicy } from '../../compile.js';
import { problemsOf } from '../../problems.js';
import { SCHEMA_FILE } from '../../rules.js';
import type { RegisteredTool } from '../registered.js';
import { isOutdated } from '../schema/generate.js';
import { SymbolicPolicy } from '../symbolic.js';
import { rolesOfNoAgent, rolesOfNobody } from './approvers.js';
import { finding, inOrder, type Finding } from './finding.js';
import { historyFindings } from './history.js';
import { missingAmounts } from './limit-amounts.js';
import { neverMatching } from './matches.js';
import { unknownNames } from './names.js';
import { openProduction } from './open-production.js';
import { overruled } from './overruled.js';

/** What is known of where the bundle is used. What is absent is not checked. */
export interface LintKnowledge {
  readonly tools?: readonly RegisteredTool[] | undefined;
  /** Every role that some agent has. */
  readonly agentRoles?: readonly string[] | undefined;
  /** Every role that some person has. */
  readonly peoplesRoles?: readonly string[] | undefined;
}

export interface Linted {
  /** By place. */
  readonly findings: readonly Finding[];
  /** Sentences: what was not checked, and why. */
  readonly notChecked: readonly string[];
}

/** Lints what `load` gives; when that or compiling it is refused, the problems are the findings. @throws what is no refusal */
export async function lint(load: () => Promise<PolicyBundle>, knowledge: LintKnowledge = {}): Promise<Linted> {
  try {
    const bundle = await load();
    return { findings: inOrder(check(bundle, knowledge)), notChecked: unchecked(knowledge) };
  } catch (thrown) {
    const problems = problemsOf(asCountersignError(thrown));
    if (problems.length === 0) throw thrown;
    const findings = problems.map(({ at, message, fix }) => finding('invalid', { at, message, fix }));
    // Cedar says the same once for each action type.
    const once = new Map(findings.map((one) => [JSON.stringify([one.at, withoutAction(one.message)]), one]));
    return {
      findings: inOrder([...once.values()]),
      notChecked: ['everything else: a bundle that is refused has no rules'],
    };
  }
}

function withoutAction(message: string): string {
  return message.replaceAll(/Countersign::Action::"[^"]*"/g, '');
}

function check(bundle: PolicyBundle, { tools, agentRoles, peoplesRoles }: LintKnowledge): readonly Finding[] {
  const policy = compilePolicy(bundle);
  const symbolic = new SymbolicPolicy(bundle);
  const { rules, limits } = policy;
  const matches = neverMatching(rules, symbolic, tools);
  const names = tools === undefined ? [] : unknownNames(rules, tools, bundle.files);
  // A rule that names what nobody has matches nothing: its name is what is wrong.
  const misnamed = new Set(names.map(({ id }) => id));
  return [
    ...matches.filter(({ code, id }) => code !== 'unmatched' || !misnamed.has(id)),
    ...names,
    ...overruled(rules),
    ...openProduction(rules, symbolic, tools),
    ...historyFindings(policy, tools),
    ...(tools === undefined ? [] : [...missingAmounts(policy, tools), ...outdated(bundle, tools)]),
    ...(agentRoles === undefined ? [] : rolesOfNoAgent(rules, new Set(agentRoles))),
    ...(peoplesRoles === undefined ? [] : rolesOfNobody(rules, limits.limits, new Set(peoplesRoles))),
  ];
}

function outdated({ files }: PolicyBundle, tools: readonly RegisteredTool[]): readonly Finding[] {
  if (!isOutdated(files[SCHEMA_FILE] ?? '', tools)) return [];
  return [
    finding('schema-outdated', {
      at: SCHEMA_FILE,
      message: 'its generated part is not what the registered tools give',
      fix: 'Run `countersign policy schema --write`.',
    }),
  ];
}

function unchecked({ tools, agentRoles, peoplesRoles }: LintKnowledge): readonly string[] {
  const silent = tools?.filter(({ operations }) => operations === undefined).map(({ name }) => name) ?? [];
  const unlisted = tools?.filter(({ targets }) => targets === undefined).map(({ name }) => name) ?? [];
  return [
    ...(tools === undefined
      ? ['names of tools, operations, environments, targets and arguments, and amounts of limits: no config was given']
      : []),
    ...(silent.length === 0
      ? []
      : [`operations and arguments of ${silent.join(', ')}: the tool does not describe itself`]),
    ...(unlisted.length === 0 ? [] : [`targets of ${unlisted.join(', ')}: the config does not say which there are`]),
    ...(agentRoles === undefined ? ['roles of agents: which there are was not given (--roles)'] : []),
    ...(peoplesRoles === undefined ? ['roles of people: which there are was not given (--roles)'] : []),
  ];
}
