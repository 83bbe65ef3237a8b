/** The tools that a bundle is written for, as the config registers them: what rules can be about. */
import type { CatalogueTool, OperationDescription } from '../../action/catalogue.js';
import { ACTION_TYPES, type ActionType } from '../../action/decision.js';
import { withoutUndefined } from '../../action/json.js';
import type { Tool } from '../../tools/tool.js';

export interface RegisteredTool extends Pick<CatalogueTool, 'name' | 'kind' | 'environment'> {
  /** Absent when the tool does not describe itself. */
  readonly operations?: readonly OperationDescription[];
  /** Everything that it can touch. Absent when that is not known. */
  readonly targets?: readonly string[];
}

/** One kind of action that a registered tool can do. */
export interface PossibleAction {
  readonly tool: RegisteredTool;
  readonly actionType: ActionType;
  /** As policies name it. Absent: any. */
  readonly operation?: string;
}

/** Operations that tools do not describe, because no model proposes them: what undoes an action does. */
const UNDESCRIBED: Readonly<Record<string, readonly string[]>> = { postgres: ['restore'] };

export function registeredTools(
  tools: readonly Pick<Tool, 'name' | 'kind' | 'environment' | 'describe' | 'targets'>[],
): readonly RegisteredTool[] {
  return tools.map((tool) => {
    const { name, kind, environment } = tool;
    const [operations, targets] = [tool.describe?.(), tool.targets?.()];
    return withoutUndefined({ name, kind, environment, operations, targets });
  });
}

/** The names of a tool's operations; undefined when they are not known. */
export function operationNames({ kind, operations }: RegisteredTool): readonly string[] | undefined {
  const described = operations?.flatMap(({ operation, alsoNamed = [] }) => [operation, ...alsoNamed]);
  return described === undefined ? undefined : [...described, ...(UNDESCRIBED[kind] ?? [])];
}

/** Every kind of action that a tool can do. An operation whose arguments decide what it is counts as each action type. */
export function possibleActions(tool: RegisteredTool): readonly PossibleAction[] {
  const { kind, operations } = tool;
  if (operations === undefined) return ACTION_TYPES.map((actionType) => ({ tool, actionType }));
  return [
    ...operations.flatMap(({ operation, alsoNamed, actionType }) =>
      alsoNamed === undefined
        ? [{ tool, actionType, operation }]
        : [operation, ...alsoNamed].flatMap((name) => everyType(tool, name)),
    ),
    ...(UNDESCRIBED[kind] ?? []).flatMap((name) => everyType(tool, name)),
  ];
}

function everyType(tool: RegisteredTool, operation: string): readonly PossibleAction[] {
  return ACTION_TYPES.map((actionType) => ({ tool, actionType, operation }));
}
