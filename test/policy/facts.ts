/** The facts and policies that the tests in this folder share. */
import type { ActionType, Facts, Preview } from '../../src/action/decision.js';
import type { Agent } from '../../src/action/principal.js';
import { anAgent, aTool } from '../../src/testing/index.js';

export interface FactsGiven {
  readonly agent?: Partial<Agent>;
  readonly tool?: Partial<Facts['tool']>;
  readonly preview?: Partial<Preview>;
  readonly actionType?: ActionType;
  readonly now?: string;
  readonly operation?: string;
  readonly from?: Facts['from'] | undefined;
}

export function factsOf({ agent, tool, preview, actionType, now, operation, from }: FactsGiven = {}): Facts {
  return {
    agent: anAgent(agent),
    tool: aTool(tool),
    actionType: actionType ?? 'WRITE',
    operation: operation ?? 'update',
    preview: { rows: 1, targets: ['orders'], reads: [], schemaChange: false, sample: [], summary: '', ...preview },
    ...(from === undefined ? {} : { from }),
    now: now ?? '2025-01-01T12:00:00.000Z',
  };
}

export const PERMIT_ALL = '@id("permit-all")\npermit (principal, action, resource);\n';
