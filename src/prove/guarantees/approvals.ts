/** People decide, and nobody else: with the role, on exactly what was shown, and once. */
import { asCountersignError } from '../../action/errors.js';
import { generateKeyringFile, issueApprover, parseKeyring, type Credential } from '../../trust/index.js';
import { approveAll, askingAction, codeOf, said } from '../attempts.js';
import { OWNER } from '../cases.js';
import type { Guarantee } from '../guarantee.js';
import { broken, doesNotApply, holds, type GuaranteeVerdict } from '../verdict.js';
import type { World } from '../world.js';
import { attacked, roleOf } from './attacked.js';
import { changedState } from './stale-approvals.js';

const FIX = 'This is a fault of Countersign: report it, and freeze what asks people until it is corrected.';

async function strangersApprover(world: World, role: string): Promise<Credential> {
  const strangers = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'strangers');
  return issueApprover(strangers, { id: 'countersign-prove-person', tenant: world.parts.tenant, roles: [role] });
}

async function selfApproved(world: World): Promise<GuaranteeVerdict> {
  if (world.parts.config.selfApproval === true)
    return doesNotApply('The config lets the person who answers for an agent approve its actions (selfApproval).');
  const asking = await askingAction(world, {
    wanted: ({ decision }) => decision.requirements.every(({ self }) => self !== true),
  });
  if (typeof asking === 'string') return doesNotApply(asking);
  await world.cancel({ actionId: asking.action.actionId, tool: asking.one.tool });
  return attacked(world, {
    what: 'An approval by the person who answers for the agent',
    codes: ['APPROVAL_FORBIDDEN'],
    token: async (action, role) => world.approval(action, await world.person(OWNER, [role])),
  });
}

async function waitsWithoutEffect(world: World): Promise<GuaranteeVerdict> {
  const before = await Promise.all(world.parts.cases.map(({ proven }) => proven.effects()));
  const asking = await askingAction(world);
  if (typeof asking === 'string') return doesNotApply(asking);
  const { action, cases, one } = asking;
  const at = world.parts.cases.indexOf(cases);
  const effects = (await cases.proven.effects()) - (before[at] ?? 0);
  await world.cancel({ actionId: action.actionId, tool: one.tool });
  const after = (await cases.proven.effects()) - (before[at] ?? 0);
  return effects === 0 && after === 0
    ? holds(`While people are asked about this, nothing is done: ${one.what}.`)
    : broken(`${one.what} had ${after} effects while people were asked.`, FIX);
}

async function forgedSignal(world: World): Promise<GuaranteeVerdict> {
  const asking = await askingAction(world);
  if (typeof asking === 'string') return doesNotApply(asking);
  const { action, cases } = asking;
  const { tenant } = world.parts;
  const before = await cases.proven.effects();
  const handle = world.client.temporal.workflow.getHandle(`${tenant}/${action.actionId}`);
  await handle.signal('decide', 'approved');
  await handle.signal('decide', await world.approval(action, await strangersApprover(world, roleOf(action))));
  // The workflow hears signals in their order: what is asked after them is answered after them.
  await codeOf(() => world.client.decide(action.actionId, 'approved', tenant));
  const { phase, refusedApprovals } = await world.client.view(action.actionId, tenant);
  const effects = (await cases.proven.effects()) - before;
  await world.cancel({ actionId: action.actionId, tool: cases.proven.tool.name });
  return phase === 'pending' && effects === 0
    ? holds(
        `Two forged approvals, signalled to Temporal itself, moved nothing (${refusedApprovals.length} refused so far).`,
      )
    : broken(`A forged approval, signalled to Temporal itself, moved the action to ${phase}.`, FIX);
}

async function denied(world: World): Promise<GuaranteeVerdict> {
  const asking = await askingAction(world);
  if (typeof asking === 'string') return doesNotApply(asking);
  const { action, cases } = asking;
  const before = await cases.proven.effects();
  const persons = action.pending.shown.requirements[0]?.denials ?? 1;
  for (let nth = 0; nth < persons; nth++) {
    const by = await world.person(`countersign-prove-denier-${nth}`, [roleOf(action)]);
    const token = await world.approval(action, by, { verdict: 'deny', reason: 'prove' });
    await world.client.decide(action.actionId, token, world.parts.tenant);
  }
  const outcome = await action.outcome({ timeoutMs: 30_000 });
  const effects = (await cases.proven.effects()) - before;
  return outcome.status === 'denied' && effects === 0
    ? holds('What people said no to was denied, and nothing was done.')
    : broken(`What people said no to came to ${said(outcome)}, with ${effects} effects.`, FIX);
}

/** So that the refusals mean something: the right people are enough. */
async function approved(world: World): Promise<GuaranteeVerdict> {
  const asking = await askingAction(world);
  if (typeof asking === 'string') return doesNotApply(asking);
  const { action, cases, one } = asking;
  const before = await cases.proven.effects();
  try {
    await approveAll(world, action);
  } catch (thrown) {
    const { code, message, fix = 'Read the message.' } = asCountersignError(thrown);
    await world.cancel({ actionId: action.actionId, tool: one.tool });
    if (code !== 'PASSKEY_INVALID' && code !== 'PASSKEY_REQUIRED') throw thrown;
    return broken(`The right people cannot say yes to this: ${one.what}. ${message}`, fix);
  }
  const outcome = await action.outcome({ timeoutMs: 30_000 });
  const effects = (await cases.proven.effects()) - before;
  const asked = action.pending.shown.requirements
    .map(({ roles, quorum }) => `${quorum} of ${roles.join(' or ')}`)
    .join(' and ');
  if (outcome.status === 'success') {
    return effects > 0 || cases.proven.database === undefined || one.preview.schemaChange
      ? holds(`With the yes of ${asked}, it was done: ${one.what}.`)
      : broken(`${one.what} is told as a success, and its system had no effect.`, `See what ${one.tool} verifies.`);
  }
  return broken(
    `With the yes of ${asked}, this came to ${said(outcome)}: ${one.what}.`,
    'Read the reason: a rule that asks people for what cannot be done then asks them in vain.',
  );
}

export const APPROVALS: readonly Guarantee[] = [
  {
    id: 'asking-has-no-effect',
    family: 'approvals',
    promise: 'Nothing is done while people are asked.',
    check: waitsWithoutEffect,
  },
  {
    id: 'approvals-need-the-role',
    family: 'approvals',
    promise: 'A person without the role that policy asks for decides nothing.',
    check: (world) =>
      attacked(world, {
        what: 'An approval by a person without the role',
        codes: ['APPROVAL_FORBIDDEN'],
        token: async (action) =>
          world.approval(action, await world.person('countersign-prove-intern', ['countersign-prove-intern'])),
      }),
  },
  {
    id: 'nobody-approves-their-own',
    family: 'approvals',
    promise: 'The person who answers for an agent does not approve what it proposes.',
    check: selfApproved,
  },
  {
    id: 'agents-do-not-approve',
    family: 'approvals',
    promise: 'A person of the same name as the agent decides nothing on its proposals.',
    check: (world) =>
      attacked(world, {
        what: 'An approval in the name of the agent itself',
        codes: ['APPROVAL_FORBIDDEN'],
        token: async (action, role) => world.approval(action, await world.person('countersign-prove-agent', [role])),
      }),
  },
  {
    id: 'approvals-of-strangers-are-refused',
    family: 'approvals',
    promise: 'An approval by somebody whom the issuer does not know is refused.',
    check: (world) =>
      attacked(world, {
        what: 'An approval by a stranger',
        codes: ['APPROVAL_INVALID'],
        token: async (action, role) => world.approval(action, await strangersApprover(world, role)),
      }),
  },
  {
    id: 'approvals-cover-what-was-shown',
    family: 'approvals',
    promise: 'An approval of something else than what is shown is refused.',
    check: (world) =>
      attacked(world, {
        what: 'An approval of another digest',
        codes: ['APPROVAL_STALE'],
        token: async (action, role) =>
          world.approval(action, await world.person('countersign-prove-person', [role]), {
            shownDigest: `sha256:${'0'.repeat(64)}`,
          }),
      }),
  },
  {
    id: 'expired-approvers-are-refused',
    family: 'approvals',
    promise: 'A person whose credential has expired decides nothing.',
    check: (world) =>
      attacked(world, {
        what: 'An approval under an expired credential',
        codes: ['APPROVAL_INVALID', 'APPROVAL_FORBIDDEN'],
        token: async (action, role) => {
          const { keyring, tenant } = world.parts;
          const who = { id: 'countersign-prove-person', tenant, roles: [role], ttlSeconds: 60 };
          return world.approval(action, await issueApprover(keyring, who, new Date(Date.now() - 86_400_000)));
        },
      }),
  },
  {
    id: 'signals-forge-nothing',
    family: 'approvals',
    promise: 'An approval that is forged as a signal to Temporal moves nothing.',
    check: forgedSignal,
  },
  {
    id: 'changed-state-asks-anew',
    family: 'approvals',
    promise: 'A yes does not count when what was shown has changed since.',
    check: changedState,
  },
  {
    id: 'a-no-is-a-no',
    family: 'approvals',
    promise: 'What people say no to is never done.',
    check: denied,
  },
  {
    id: 'the-right-people-are-enough',
    family: 'approvals',
    promise: 'What the right people say yes to is done, so that nobody is asked in vain.',
    check: approved,
  },
];
