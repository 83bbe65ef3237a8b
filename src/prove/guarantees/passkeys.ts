/** Passkeys: asked for where a rule says so, of the person who decides, for what was shown, on the site that the config names, and never copied. */
import type { PendingAction } from '../../client/countersign.js';
import type { ApprovalAssertion, Credential } from '../../trust/index.js';
import { approveAll, asksForPasskey, askingAction, codeOf, endOf, said } from '../attempts.js';
import { decidedAs } from '../cases.js';
import type { Guarantee } from '../guarantee.js';
import { assertionOn, enrol, passkeyOf, placeOf, USED_BEFORE, type Enrolled } from '../passkeys.js';
import { broken, doesNotApply, holds, type GuaranteeVerdict } from '../verdict.js';
import type { World } from '../world.js';
import { attacked } from './attacked.js';

const FIX = 'This is a fault of Countersign: report it, and freeze what asks for passkeys until it is corrected.';
const PERSON = 'countersign-prove-keyholder';
const NO_RULE = 'No rule asks for a passkey for a change that could be made up.';

function asksForOne(world: World): boolean {
  return world.parts.cases.some(({ changes }) => decidedAs('require_approval', changes).some(asksForPasskey));
}

/** An assertion that is not good makes a decision invalid, also where none is asked for: so it is tried wherever people are asked. */
interface BadAssertion {
  readonly what: string;
  readonly make: (action: PendingAction, by: Credential, own: Enrolled) => Promise<ApprovalAssertion>;
}

async function allInvalid(world: World, bad: readonly BadAssertion[]): Promise<GuaranteeVerdict> {
  if (placeOf(world) === undefined)
    return doesNotApply('The config says of no site where passkeys are used (passkeys).');
  const wanted = asksForOne(world) ? asksForPasskey : undefined;
  const told: string[] = [];
  for (const { what, make } of bad) {
    const verdict = await attacked(
      world,
      {
        what,
        codes: ['PASSKEY_INVALID'],
        token: async (action, role) => {
          const by = await world.person(PERSON, [role]);
          return world.approval(action, by, { assertion: await make(action, by, await passkeyOf(world, by)) });
        },
      },
      wanted,
    );
    if (verdict.status !== 'holds') return verdict;
    told.push(what);
  }
  return holds(`These were refused (PASSKEY_INVALID), and the action waited on. ${told.join('. ')}.`);
}

async function needed(world: World): Promise<GuaranteeVerdict> {
  if (!asksForOne(world)) return doesNotApply(NO_RULE);
  return attacked(
    world,
    {
      what: 'A yes without the passkey that a rule asks for',
      codes: ['PASSKEY_REQUIRED'],
      token: async (action, role) => world.approval(action, await world.person(PERSON, [role])),
    },
    asksForPasskey,
  );
}

function aboutSomethingElse(world: World): Promise<GuaranteeVerdict> {
  const other = `sha256:${'0'.repeat(64)}` as const;
  return allInvalid(world, [
    {
      what: 'A passkey’s word on another content',
      make: (action, _, own) => assertionOn(world, action, own, { decision: { shownDigest: other } }),
    },
    {
      what: 'A passkey’s word on another action',
      make: (action, _, own) => assertionOn(world, action, own, { decision: { actionId: 'countersign-prove-other' } }),
    },
    {
      what: 'A passkey’s word for a no',
      make: (action, _, own) => assertionOn(world, action, own, { decision: { verdict: 'deny' } }),
    },
    {
      what: 'A passkey’s word under another policy',
      make: (action, _, own) => assertionOn(world, action, own, { decision: { policyDigest: other } }),
    },
    {
      what: 'A passkey’s word on what was decided before',
      make: async (action, by, own) => replayed(world, action, by, own),
    },
  ]);
}

/** The word on an action that was decided with it, handed in for this one. */
async function replayed(
  world: World,
  action: PendingAction,
  by: Credential,
  own: Enrolled,
): Promise<ApprovalAssertion> {
  const before = await askingAction(world);
  if (typeof before === 'string') throw new Error(before);
  const assertion = await assertionOn(world, before.action, own, {}, 'deny');
  const token = await world.approval(before.action, by, { verdict: 'deny', reason: 'prove', assertion });
  await world.client.decide(before.action.actionId, token, world.parts.tenant);
  await world.cancel({ actionId: before.action.actionId, tool: before.one.tool });
  return { ...assertion, policyDigest: (await assertionOn(world, action, own)).policyDigest };
}

function ofAnotherSite(world: World): Promise<GuaranteeVerdict> {
  const { rpId = '', origin = '' } = placeOf(world) ?? {};
  return allInvalid(world, [
    {
      what: 'A passkey’s word on a page of another origin',
      make: (action, _, own) => assertionOn(world, action, own, { ceremony: { origin: `https://${rpId}.invalid` } }),
    },
    {
      what: 'A passkey’s word for another site',
      make: (action, _, own) => assertionOn(world, action, own, { ceremony: { rpId: `${rpId}.invalid` } }),
    },
    {
      what: 'A passkey’s word inside a page of another origin',
      make: (action, _, own) =>
        assertionOn(world, action, own, { ceremony: { origin, clientData: { crossOrigin: true } } }),
    },
    {
      what: 'A passkey’s word without a PIN, a finger or a face',
      make: (action, _, own) => assertionOn(world, action, own, { ceremony: { userVerified: false } }),
    },
  ]);
}

function ofSomebodyElse(world: World): Promise<GuaranteeVerdict> {
  return allInvalid(world, [
    {
      what: 'The passkey of another person',
      make: async (action) => {
        const other = await world.person('countersign-prove-other-keyholder', ['countersign-prove-other']);
        return assertionOn(world, action, await passkeyOf(world, other));
      },
    },
    {
      what: 'A passkey that nobody enrolled',
      make: async (action, _, own) => {
        const { id } = own.authenticator.register({ challenge: '', rpId: '', origin: '' });
        return assertionOn(world, action, { id, authenticator: own.authenticator });
      },
    },
    {
      what: 'A passkey that was retired',
      make: async (action, by) => {
        const retired = await enrol(world, by);
        const { tenant } = world.parts;
        await world.command(by, { kind: 'retire_passkey', tenant, subject: retired.id, reason: 'prove' });
        return assertionOn(world, action, retired);
      },
    },
  ]);
}

function copied(world: World): Promise<GuaranteeVerdict> {
  return allInvalid(world, [
    {
      what: 'A passkey whose counter went back behind its enrolment',
      make: (action, _, own) => assertionOn(world, action, own, { ceremony: { counter: USED_BEFORE - 1 } }),
    },
    {
      what: 'A copy of a passkey, with a counter that the passkey itself had used',
      make: async (action, by, own) => {
        const copy = { id: own.id, authenticator: own.authenticator.clone() };
        await replayed(world, action, by, own);
        return assertionOn(world, action, copy);
      },
    },
  ]);
}

/** So that the refusals mean something. */
async function enough(world: World): Promise<GuaranteeVerdict> {
  if (!asksForOne(world)) return doesNotApply(NO_RULE);
  const asking = await askingAction(world, { wanted: asksForPasskey });
  if (typeof asking === 'string') return doesNotApply(asking);
  const { action, one } = asking;
  if (placeOf(world) === undefined) {
    await world.cancel({ actionId: action.actionId, tool: one.tool });
    return broken(
      `A rule asks for a passkey for this, and no worker takes one: ${one.what}.`,
      'Say in the config where passkeys are used (`passkeys`), for the workers and the gateway.',
    );
  }
  const code = await codeOf(() => approveAll(world, action));
  if (code !== undefined) {
    await world.cancel({ actionId: action.actionId, tool: one.tool });
    return broken(`A yes with the passkey that a rule asks for was refused (${code}).`, FIX);
  }
  const outcome = await endOf(action);
  if (outcome === undefined) await world.cancel({ actionId: action.actionId, tool: one.tool });
  const recorded = outcome?.approvals.some(({ passkey }) => passkey !== undefined) === true;
  return outcome?.status === 'success' && recorded
    ? holds(`With passkeys that were enrolled, it was done, and the approval names its passkey: ${one.what}.`)
    : broken(`With the passkeys that a rule asks for, this came to ${said(outcome)}: ${one.what}.`, FIX);
}

export const PASSKEYS: readonly Guarantee[] = [
  {
    id: 'passkeys-are-needed',
    family: 'passkeys',
    promise: 'Where a rule asks for a passkey, a yes without one decides nothing.',
    check: needed,
  },
  {
    id: 'passkeys-cover-what-was-shown',
    family: 'passkeys',
    promise: 'A passkey’s word on something else, or on what was decided before, decides nothing.',
    check: aboutSomethingElse,
  },
  {
    id: 'passkeys-are-of-one-site',
    family: 'passkeys',
    promise: 'A passkey’s word counts only on the pages that the config names, of a person who was verified.',
    check: ofAnotherSite,
  },
  {
    id: 'passkeys-are-their-owners',
    family: 'passkeys',
    promise: 'The passkey of somebody else, or one that is not enrolled any more, decides nothing.',
    check: ofSomebodyElse,
  },
  {
    id: 'copied-passkeys-are-found',
    family: 'passkeys',
    promise: 'A passkey whose counter went back is taken for a copy.',
    check: copied,
  },
  {
    id: 'passkeys-are-enough',
    family: 'passkeys',
    promise: 'With the passkey that a rule asks for, what people say yes to is done.',
    check: enough,
  },
];
