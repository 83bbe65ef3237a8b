/** What policy decides: deny wins, every error is a deny, and nobody changes production without a role. */
import { cp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { asCountersignError } from '../../action/errors.js';
import { registeredTools } from '../../policy/authoring/registered.js';
import { HARMLESS, openProduction } from '../../policy/authoring/lint/open-production.js';
import { SymbolicPolicy } from '../../policy/authoring/symbolic.js';
import { nothingTried, onEachTool, refused } from '../attempts.js';
import { decidedAs, type Case, type ToolCases } from '../cases.js';
import type { Guarantee } from '../guarantee.js';
import { broken, doesNotApply, holds, together, type GuaranteeVerdict } from '../verdict.js';
import type { World } from '../world.js';

const FIX = 'This is a fault of Countersign: report it, and freeze the tool until it is corrected.';

async function onEachDenied(world: World): Promise<GuaranteeVerdict> {
  const verdicts: GuaranteeVerdict[] = [];
  for (const cases of world.parts.cases) {
    const { name } = cases.proven.tool;
    const [denied] = decidedAs('deny', cases.changes);
    if (denied === undefined)
      verdicts.push(doesNotApply(`No rule denies any change of ${name} that could be made up.`));
    else {
      const what = `${capital(denied.what)} by ${rolesText(denied)}`;
      const codes = ['POLICY_DENIED', 'POLICY_ERROR', 'CONSTRAINT_UNSUPPORTED'];
      verdicts.push(await refused(cases, { what, codes, fix: FIX }, () => world.propose(denied)));
    }
  }
  return together(verdicts.length === 0 ? [doesNotApply(nothingTried(world))] : verdicts);
}

/** What an agent without any role may do in production, by the rules and by trying. */
async function withoutRoles(world: World): Promise<GuaranteeVerdict> {
  const { policy, operator } = world.parts;
  const findings = openProduction(
    policy.rules,
    new SymbolicPolicy(policy.bundle),
    registeredTools(operator.config.tools),
  );
  const open = findings.find(({ code }) => code === 'production-open');
  if (open !== undefined) return broken(`The rule ${open.id ?? ''}: ${open.message}.`, open.fix);
  const verdicts: GuaranteeVerdict[] = [];
  for (const cases of world.parts.cases) verdicts.push(await roleless(world, cases));
  return together(
    verdicts.length === 0 ? [holds('No rule lets an agent without a role change production.')] : verdicts,
  );
}

async function roleless(world: World, cases: ToolCases): Promise<GuaranteeVerdict> {
  const { name, environment } = cases.proven.tool;
  if (HARMLESS.has(environment)) return doesNotApply(`${name} is in ${environment}, where anybody may try things.`);
  const changes = cases.changes.filter(({ roles, from }) => roles.length === 0 && from === undefined);
  const allowed = changes.find(({ decision }) => decision.effect === 'allow');
  if (allowed !== undefined) {
    const by = allowed.decision.policies.join(', ');
    return broken(
      `An agent without any role may do this in ${environment}: ${allowed.what}. It is allowed by ${by}.`,
      'Name a role in the scope of the permit: principal in Countersign::Role::"…".',
    );
  }
  const [first] = changes;
  if (first === undefined) return doesNotApply(`No change of ${name} could be made up.`);
  const { outcome, pending } = await world.propose(first);
  if (pending !== undefined) await world.cancel({ actionId: pending.actionId, tool: name });
  if (outcome?.status === 'success') return broken(`An agent without any role did this: ${first.what}.`, FIX);
  return holds(
    `${changes.length} kinds of changes of ${name} were thought of; an agent without any role does none of them by itself.`,
  );
}

async function unusablePolicy(world: World): Promise<GuaranteeVerdict> {
  const folder = path.join(world.parts.folder, 'unusable');
  await cp(world.parts.policies, folder, { recursive: true });
  await writeFile(path.join(folder, 'countersign-prove.cedar'), 'permit (principal, action, resource) when {');
  const { config, temporal } = world.parts;
  try {
    const worker = await world.startWorker({
      config: { ...config, policies: { from: 'folder', path: folder } },
      temporal: { ...temporal, taskQueue: `${temporal.taskQueue}-unusable` },
    });
    await worker.stop();
  } catch (thrown) {
    const { code } = asCountersignError(thrown);
    return code === 'POLICY_INVALID' || code === 'POLICY_UNAVAILABLE'
      ? holds(`A worker does not start with policies that cannot be parsed (${code}).`)
      : broken(`A worker with policies that cannot be parsed failed as ${code}.`, FIX);
  }
  return broken('A worker starts with policies that cannot be parsed.', FIX);
}

export const POLICY: readonly Guarantee[] = [
  {
    id: 'denied-has-no-effect',
    family: 'policy',
    promise: 'What policy denies is never done.',
    check: onEachDenied,
  },
  {
    id: 'roles-are-needed',
    family: 'policy',
    promise: 'An agent without any role changes nothing in production by itself.',
    check: withoutRoles,
  },
  {
    id: 'unusable-policy-admits-nothing',
    family: 'policy',
    promise: 'With policies that cannot be parsed, nothing is admitted.',
    check: unusablePolicy,
  },
  {
    id: 'unknown-tools-are-refused',
    family: 'policy',
    promise: 'A tool that is not configured is refused.',
    check: (world) =>
      onEachTool(world, (one, cases) =>
        refused(cases, { what: 'A tool that is not configured', codes: ['UNKNOWN_TOOL'], fix: FIX }, () =>
          world.propose(one, { tool: 'countersign-prove-unknown' }),
        ),
      ),
  },
  {
    id: 'unknown-operations-are-refused',
    family: 'policy',
    promise: 'An operation that the tool does not have is refused.',
    check: (world) =>
      onEachTool(world, (one, cases) => {
        const input = {
          ...one.input(world.next()),
          op: 'countersign_prove',
          tool: 'countersign_prove',
          countersignProve: true,
        };
        return refused(
          cases,
          { what: 'An operation that does not exist', codes: ['INVALID_INPUT'], fix: fixOfInput(cases) },
          () => world.propose(one, { input }),
        );
      }),
  },
  {
    id: 'undeclared-arguments-are-refused',
    family: 'policy',
    promise: 'An argument that the tool does not declare is refused.',
    check: (world) =>
      onEachTool(world, (one, cases) =>
        refused(
          cases,
          { what: 'An argument that is not declared', codes: ['INVALID_INPUT'], fix: fixOfInput(cases) },
          () => world.propose(one, { input: { ...one.input(world.next()), countersignProve: true } }),
        ),
      ),
  },
];

function fixOfInput({ proven }: ToolCases): string {
  return `Make the input schema of ${proven.tool.name} strict: it must refuse what it does not know.`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function rolesText({ roles }: Case): string {
  return roles.length === 0 ? 'an agent without a role' : `an agent with ${roles.join(', ')}`;
}
