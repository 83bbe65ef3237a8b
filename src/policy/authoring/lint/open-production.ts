/** Permits that let every agent write in production, whatever its roles. */
import type { ActionType } from '../../../action/decision.js';
import type { Rule } from '../../rules.js';
import { possibleActions, type RegisteredTool } from '../registered.js';
import type { SymbolicAction, SymbolicPolicy, Truths } from '../symbolic.js';
import { finding, type Finding } from './finding.js';

const WRITES = ['WRITE', 'DELETE'] as const satisfies readonly ActionType[];

/** Every name but these counts as production, as in the starter bundle: a slip of the pen must not open it. */
export const HARMLESS = new Set(['development', 'dev', 'local', 'test', 'testing', 'ci', 'sandbox', 'staging']);

/**
 * Asks for an agent without any role, in production, on each registered tool and on one that nobody has registered. A permit that holds is
 * open; one that depends on what else is true of the action, the agent or the tool is open in part. What a final forbid certainly stands
 * against is not open, and what a soft one certainly does, people decide.
 */
export function openProduction(
  rules: readonly Rule[],
  symbolic: SymbolicPolicy,
  tools: readonly RegisteredTool[] = [],
): readonly Finding[] {
  const open = new Map<string, { certain: boolean; on: string }>();
  for (const action of productionWrites(tools)) {
    const truths = symbolic.ask(rules, action);
    if (isForbidden(rules, truths)) continue;
    for (const rule of rules) {
      const truth = rule.effect === 'permit' ? truths.get(rule.id) : false;
      if (truth === false || !truths.has(rule.id)) continue;
      const before = open.get(rule.id);
      if (before?.certain === true || (before !== undefined && truth === undefined)) continue;
      open.set(rule.id, { certain: truth === true, on: describe(action) });
    }
  }
  return rules.flatMap((rule) => {
    const found = open.get(rule.id);
    if (found === undefined) return [];
    return [
      finding(found.certain ? 'production-open' : 'production-open-in-part', {
        at: rule.place,
        id: rule.id,
        message: found.certain
          ? `every agent, whatever its roles, may ${found.on}`
          : `agents without any role may ${found.on} where its other conditions hold`,
        fix: 'Name a role in its scope: principal in Countersign::Role::"…"; or exclude production.',
      }),
    ];
  });
}

function productionWrites(tools: readonly RegisteredTool[]): readonly SymbolicAction[] {
  const known = tools
    .filter(({ environment }) => !HARMLESS.has(environment))
    .flatMap(possibleActions)
    .filter(({ actionType }) => actionType === 'WRITE' || actionType === 'DELETE');
  const others = WRITES.map((actionType) => ({
    actionType,
    tool: { name: 'a tool', environment: 'production' },
  }));
  return [...known, ...others].map((action) => ({ ...action, roles: [] }));
}

function isForbidden(rules: readonly Rule[], truths: Truths): boolean {
  return rules.some(({ id, effect }) => effect === 'forbid' && truths.get(id) === true);
}

function describe({ actionType, tool, operation }: SymbolicAction): string {
  const what = operation === undefined ? actionType : `${actionType} (${operation})`;
  const where =
    tool?.name === 'a tool' ? 'any tool in production' : `${tool?.name ?? ''} in ${tool?.environment ?? ''}`;
  return `do a ${what} on ${where}`;
}
