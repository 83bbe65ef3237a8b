/** Proposals that the operator's policies allow, deny, or ask people about: found by asking the policy, without a worker. */
import type { Agent } from '../action/principal.js';
import type { ActionType, Decision, DecisionEffect, Preview } from '../action/decision.js';
import type { JsonObject } from '../action/json.js';
import { knownValues } from '../policy/authoring/explain/known.js';
import { enforce } from '../policy/enforce.js';
import type { Policy } from '../policy/compile.js';
import type { Tool } from '../tools/tool.js';
import type { Candidate } from './candidates/candidate.js';
import type { ProvenTool } from './tools.js';

export interface Case extends Candidate {
  readonly roles: readonly string[];
  readonly decision: Decision;
  readonly preview: Preview;
  /** As the tool says of its input. */
  readonly actionType: ActionType;
}

export interface ToolCases {
  readonly proven: ProvenTool;
  /** Every change that was thought of, by every role: in the order in which they are best tried. */
  readonly changes: readonly Case[];
  readonly reads: readonly Case[];
}

/** More roles would give more of the same. */
const MOST_ROLES = 12;
/** How long a tool may take to tell what one input would touch. Milliseconds. */
const PREVIEW_MS = 10_000;
/** Those who answer for the agents of prove. */
export const OWNER = 'countersign-prove-owner';

interface Asking {
  readonly policy: Policy;
  readonly tenant: string;
}

/** @throws CountersignError where a tool's system does not answer */
export async function casesOf(proven: ProvenTool, asking: Asking): Promise<ToolCases> {
  const cases: Case[] = [];
  for (const candidate of proven.candidates) cases.push(...(await casesOfCandidate(proven.tool, candidate, asking)));
  return {
    proven,
    changes: cases.filter(({ actionType }) => actionType !== 'READ'),
    reads: cases.filter(({ actionType }) => actionType === 'READ'),
  };
}

/** The first that is decided so, of an agent with a role where there is one. */
export function decidedAs(effect: DecisionEffect, cases: readonly Case[]): readonly Case[] {
  const found = cases.filter(({ decision }) => decision.effect === effect);
  return [...found.filter(({ roles }) => roles.length > 0), ...found.filter(({ roles }) => roles.length === 0)];
}

async function casesOfCandidate(
  tool: Tool,
  candidate: Candidate,
  { policy, tenant }: Asking,
): Promise<readonly Case[]> {
  const read = await previewed(tool, candidate);
  if (read === undefined) return [];
  const { input, preview, actionType, operation } = read;
  return roleSets(policy).map((roles) => {
    const decision = enforce(
      { tool: tool.name, input, ...(candidate.from === undefined ? {} : { from: candidate.from }) },
      {
        policy,
        agent: agentWith(roles, tenant),
        tool: { name: tool.name, kind: tool.kind, environment: tool.environment },
        actionType,
        operation,
        preview,
        now: new Date().toISOString(),
      },
    );
    return { ...candidate, actionType, roles, decision, preview };
  });
}

function agentWith(roles: readonly string[], tenant: string): Agent {
  return { id: 'countersign-prove-agent', tenant, roles: [...roles], scopes: ['*'], owner: OWNER };
}

/** Undefined for an input that the tool itself refuses. */
async function previewed(tool: Tool, candidate: Candidate) {
  const parsed = tool.input.safeParse(candidate.input(0));
  if (!parsed.success) return undefined;
  try {
    const preview = await tool.preview(parsed.data, { signal: AbortSignal.timeout(PREVIEW_MS) });
    if (preview.refusal !== undefined) return undefined;
    const input = parsed.data as JsonObject;
    return { input, preview, actionType: tool.actionType(parsed.data), operation: tool.operation(parsed.data) };
  } catch {
    return undefined;
  }
}

/** Each role that the rules name, all of them together, and none. */
function roleSets(policy: Policy): readonly (readonly string[])[] {
  const roles = knownValues(policy).roles.slice(0, MOST_ROLES);
  return [...roles.map((role) => [role]), ...(roles.length > 1 ? [roles] : []), []];
}
