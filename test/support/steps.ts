/** The activities of a worker, called one by one as the workflow calls them, for an action of one's own. */
import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import pino from 'pino';
import type {
  ActionRequest,
  Activities,
  Approved,
  EffectReport,
  Enforced,
  Granted,
  PostState,
  PreState,
  Proposed,
  Sealed,
} from '../../activities/contract.js';
import { createActivities } from '../../activities/index.js';
import type { JsonObject } from '../../src/action/json.js';
import { proposalDigest, signedProposalDigest, type Proposal } from '../../src/action/proposal.js';
import { ActivePolicy } from '../../src/policy/index.js';
import type { Tool } from '../../src/tools/tool.js';
import { issueAgent, signApproval, signProposal, type Keyring } from '../../src/trust/index.js';
import { ExpectationRunner } from '../../src/verify/index.js';
import { canarySettingsOf } from '../../src/config/oversight.js';
import { DEFAULT_APPROVAL_RATE_LIMIT, DEFAULT_ROLES } from '../../src/config/config.js';
import { NO_FAULTS } from '../../src/worker/faults.js';
import { LedgerFreezeWatch } from '../../src/worker/freeze-watch.js';
import { shopTool, TENANT, type Stack } from './stack.js';

export interface Steps {
  readonly activities: Activities;
  /** A signed proposal. */
  request(input: JsonObject, more?: Partial<Proposal>): Promise<ActionRequest>;
  /** Runs an activity in the workflow of that action. */
  readonly run: <Input extends unknown[], Output>(
    request: ActionRequest,
    activity: (...input: Input) => Promise<Output>,
    ...input: Input
  ) => Promise<Output>;
  close(): Promise<void>;
}

/** `tools`: whose credentials it has; `keyring`: what it may seal and sign. Default: everything of the stack. */
export async function steps(
  stack: Stack,
  { keyring = stack.keyring, tools }: { readonly keyring?: Keyring; readonly tools?: readonly Tool[] } = {},
): Promise<Steps> {
  const expectations = new ExpectationRunner();
  const freezes = new LedgerFreezeWatch(stack.ledger.controls);
  const policy = new ActivePolicy({ folder: stack.policies, store: async () => {}, logger: pino({ level: 'silent' }) });
  await policy.reload();
  const own = tools ?? [shopTool(stack.shopUrl)];
  const activities = createActivities({
    tools: new Map(own.map((tool) => [tool.name, tool])),
    policy,
    ledger: stack.ledger,
    keyring,
    expectations,
    settings: {
      grantTtlSeconds: 60,
      selfApproval: false,
      lookUpMaxWaitMs: 0,
      roles: DEFAULT_ROLES,
      approvalRateLimit: DEFAULT_APPROVAL_RATE_LIMIT,
      promotion: { quorum: 1, withoutEvidence: false },
      canaries: canarySettingsOf(),
    },
    taskQueue: 'countersign',
    workflows: { state: async () => 'running', begin: async () => {} },
    freezes,
    faults: NO_FAULTS,
  });
  const credential = await issueAgent(stack.keyring, {
    id: 'agent-1',
    tenant: TENANT,
    roles: ['admin_user'],
    scopes: ['*'],
  });
  return {
    activities,
    async request(input, more = {}) {
      const proposal: Proposal = { actionId: randomUUID(), tool: 'shop-db', input, ...more };
      const signature = await signProposal(credential, signedProposalDigest(proposal));
      return { proposal, digest: proposalDigest(proposal), signature };
    },
    run: async (request, activity, ...input) => {
      const environment = new MockActivityEnvironment({
        workflowExecution: {
          workflowId: `${TENANT}/${request.proposal.actionId}`,
          runId: `run-of-${request.proposal.actionId}`,
        },
        activityId: '1',
      });
      return environment.run(activity, ...input);
    },
    async close() {
      freezes.close();
      await Promise.all([...own.map((tool) => tool.close()), expectations.close()]);
    },
  };
}

/** What the steps of one action handed on. */
export interface Records {
  readonly request: ActionRequest;
  readonly proposed: Sealed<Proposed>;
  readonly enforced: Sealed<Enforced>;
  readonly pre: Sealed<PreState>;
  readonly approved: Sealed<Approved> | undefined;
}

/** Runs an action up to its grant. */
export async function prepared(stack: Stack, { activities, run }: Steps, request: ActionRequest): Promise<Records> {
  const proposed = kind('proposed', await run(request, activities.propose, request));
  const enforced = kind('enforced', await run(request, activities.enforce, { request, proposed, maxWaitOver: false }));
  const pre = kind('pre_state', await run(request, activities.capturePreState, { request, proposed }));
  if (enforced.decision.effect === 'allow') return { request, proposed, enforced, pre, approved: undefined };
  const asking = { request, enforced, pre, tokens: [] as string[], withoutStandingApprovals: false };
  const pending = kind('pending', await run(request, activities.requestApproval, asking));
  const token = await signApproval(await stack.approver(`dba-${randomUUID().slice(0, 8)}`, ['dba']), {
    tenant: TENANT,
    actionId: request.proposal.actionId,
    shownDigest: pending.shownDigest,
    verdict: 'approve',
  });
  const approved = kind('approved', await run(request, activities.requestApproval, { ...asking, tokens: [token] }));
  return { request, proposed, enforced, pre, approved };
}

export interface Executed extends Records {
  readonly grant: string;
  readonly report: Sealed<EffectReport>;
  readonly post: Sealed<PostState>;
}

/** Runs an action up to its post-state. */
export async function executed(stack: Stack, steps: Steps, request: ActionRequest): Promise<Executed> {
  const records = await prepared(stack, steps, request);
  const { run, activities } = steps;
  const granted: Sealed<Granted> = kind(
    'granted',
    await run(request, activities.authorize, { ...records, lastLook: false }),
  );
  const { grant } = granted;
  const report = await run(request, activities.execute, request.proposal, grant);
  const authorized = authorizedOf(records, grant);
  const post = await run(request, activities.capturePostState, { request, authorized, report });
  if (post.kind === 'other_task_queue') throw new Error('the tool is of another task queue');
  return { ...records, grant, report, post };
}

export function authorizedOf({ enforced, pre, approved }: Records, grant: string) {
  return { enforced, pre: pre.snapshot, grant, ...(approved === undefined ? {} : { approved }) };
}

/** The answer, which must be of this kind. */
function kind<Answer extends { readonly kind: string }, Kind extends Answer['kind']>(
  expected: Kind,
  answer: Answer,
): Extract<Answer, { readonly kind: Kind }> {
  if (answer.kind !== expected) throw new Error(`expected ${expected}: ${JSON.stringify(answer)}`);
  return answer as Extract<Answer, { readonly kind: Kind }>;
}
