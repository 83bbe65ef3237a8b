/** Edits: the agent's authority, bound to what a person made of its proposal, and to nothing else. */
import { beforeAll, describe, expect, test } from 'vitest';
import { digestText } from '../../src/action/json.js';
import { signedProposalDigest, type Proposal } from '../../src/action/proposal.js';
import { signApproval, signedEdit, verifyApproval, type SignedEdit } from '../../src/trust/approvals.js';
import { issueAgent, issueApprover, type Credential } from '../../src/trust/credentials.js';
import { editedSignature, isEdited, verifyEdited } from '../../src/trust/edits.js';
import type { Keyring } from '../../src/trust/keys.js';
import { signProposal } from '../../src/trust/proposal-signature.js';
import { digestOf, later, newKeys, NOW, openUnverified, refusal } from './support.js';

const BOT = { id: 'bot', tenant: 'acme', roles: ['billing'], scopes: ['payments'] };
const proposal = (amount: number): Proposal => ({ actionId: `refund-${amount}`, tool: 'payments', input: { amount } });

let keyring: Keyring;
let bot: Credential;
let ann: Credential;
let stranger: Credential;
beforeAll(async () => {
  ({ keyring } = await newKeys());
  bot = await issueAgent(keyring, BOT, NOW);
  ann = await issueApprover(keyring, { id: 'ann', tenant: 'acme', roles: ['dba'] }, NOW);
  stranger = await issueApprover(keyring, { id: 'eve', tenant: 'other', roles: ['dba'] }, NOW);
});

interface Said {
  readonly by?: Credential;
  readonly tenant?: string;
  readonly edit?: SignedEdit | undefined;
  readonly actionId?: string;
}

function decisionOn(edit: SignedEdit | undefined, { by = ann, tenant = 'acme', actionId = 'refund-100' }: Said = {}) {
  const said = { tenant, actionId, shownDigest: digestOf('shown'), verdict: 'request_changes', edit } as const;
  return signApproval(by, said, NOW);
}
/** The signature over what became of the first proposal, edit by edit, the last one first. */
async function edited(amounts: readonly number[], said?: Said): Promise<string> {
  const [first = 0, ...rest] = amounts;
  let signature = await signProposal(bot, signedProposalDigest(proposal(first)), NOW);
  let from = first;
  for (const to of rest) {
    signature = editedSignature(await decisionOn(signedEdit(proposal(from), proposal(to)), said), signature);
    from = to;
  }
  return signature;
}
const verify = (signature: string, amount: number, now = NOW) =>
  verifyEdited(keyring, signature, { digest: signedProposalDigest(proposal(amount)), now });
const refused = async (signature: string, amount: number, message: string) => {
  const error = await refusal(verify(signature, amount), 'AGENT_UNVERIFIED');
  expect(error.message).toContain(message);
  expect(error.field).toBe('signature');
};

test('what a person made of a proposal is the agent’s, with the person beside it', async () => {
  const signature = await edited([100, 50]);
  const [decision = ''] = signature.split('~');
  expect(isEdited(signature)).toBe(true);
  expect(await verify(signature, 50)).toMatchObject({
    agent: BOT,
    authority: { credentials: [openUnverified(bot.token).payload['jti'], openUnverified(ann.token).payload['jti']] },
    editor: { id: 'ann', actionId: 'refund-100', edited: 'refund-50', decision: digestText(decision) },
  });
});

test('an edit of an edit names who edited last', async () => {
  const proposer = await verify(await edited([100, 50, 20]), 20);
  expect(proposer.editor.edited).toBe('refund-20');
  expect(proposer.authority.credentials).toHaveLength(3);
});

test('it holds for as long as the action waits, when the decision itself is long over', async () => {
  const { ttlSeconds: _, ...rest } = { ...BOT, ttlSeconds: 1 };
  const signature = await edited([100, 50]);
  expect((await verify(signature, 50, later(50 * 60))).agent).toMatchObject(rest);
});

test('a proposal signature without an edit is none of an edited proposal', async () => {
  const own = await signProposal(bot, signedProposalDigest(proposal(100)), NOW);
  expect(isEdited(own)).toBe(false);
  await refused(own, 100, 'names no edit');
});

describe('an edit is refused', () => {
  test('of another proposal than the agent’s, and for another than the person made', async () => {
    const signature = await edited([100, 50]);
    await refused(signature, 100, 'another proposal');
    await refused(signature, 51, 'another proposal');
    const [decision = ''] = signature.split('~');
    const other = await signProposal(bot, signedProposalDigest(proposal(99)), NOW);
    await refusal(verify(editedSignature(decision, other), 50), 'AGENT_UNVERIFIED');
  });

  test('with a link of the chain left out or turned round', async () => {
    const [last = '', first = '', own = ''] = (await edited([100, 50, 20])).split('~');
    await refused([last, own].join('~'), 20, 'signature');
    await refused([first, last, own].join('~'), 20, 'another proposal');
  });

  test('by a person of another tenant, whichever of the two they name', async () => {
    await refused(await edited([100, 50], { by: stranger }), 50, 'another tenant');
    await refused(await edited([100, 50], { by: stranger, tenant: 'other' }), 50, 'another tenant');
  });

  test('when the decision edits nothing, or is none', async () => {
    const own = await signProposal(bot, signedProposalDigest(proposal(100)), NOW);
    await refused(editedSignature(await decisionOn(undefined), own), 100, 'edits nothing');
    await refused(editedSignature('nonsense', own), 100, 'compact JWS');
    await refused(editedSignature('', own), 100, 'no token');
  });

  test('after eight edits', async () => {
    const amounts = Array.from({ length: 10 }, (_, at) => at + 1);
    expect((await verify(await edited(amounts.slice(0, 9)), 9)).editor.edited).toBe('refund-9');
    await refused(await edited(amounts), 10, 'more than 8 times');
  });
});

describe('a decision that edits', () => {
  const edit: SignedEdit = signedEdit(proposal(100), proposal(50));
  const said = { tenant: 'acme', actionId: 'refund-100', shownDigest: digestOf('shown') } as const;

  test('says on the record what it made of the proposal', async () => {
    const token = await signApproval(ann, { ...said, verdict: 'request_changes', edit }, NOW);
    const approval = await verifyApproval(keyring, token, { ...said, now: NOW });
    expect(approval.edit).toEqual(edit);
    expect(approval.record.edited).toEqual({ actionId: 'refund-50', digest: edit.to });
  });

  test('and one that does not says nothing of it', async () => {
    const token = await signApproval(ann, { ...said, verdict: 'request_changes' }, NOW);
    const approval = await verifyApproval(keyring, token, { ...said, now: NOW });
    expect(approval).not.toHaveProperty('edit');
    expect(approval.record).not.toHaveProperty('edited');
  });

  test.each(['approve', 'deny'] as const)('is not signed with the verdict %s', async (verdict) => {
    const error = await refusal(signApproval(ann, { ...said, verdict, edit }, NOW), 'APPROVAL_INVALID');
    expect(error.field).toBe('edit');
  });
});
