/**
 * Edits: a person's signed decision that changes an agent's proposal. Before the agent's own signature it takes the place of a proposal
 * signature, `<the person's decision>~<the agent's signature>`: the agent's authority, bound to what the person made of its proposal.
 */
import { digestText, type Digest } from '../action/json.js';
import { approvalForm } from './approvals.js';
import { refusalFactory } from './claim-schemas.js';
import { verifyHolder } from './holder.js';
import { openHeld } from './jws.js';
import type { Keyring } from './keys.js';
import { verifyProposal, type Proposer } from './proposal-signature.js';

/** No part of a signed token has this character. */
const SEPARATOR = '~';

/** An edit can be edited in its turn, so often. */
const MAX_EDITS = 8;

const refuse = refusalFactory('AGENT_UNVERIFIED', 'signature');
const form = { ...approvalForm, refuse };

/** Who changed a proposal, and with which decision. */
export interface Editor {
  readonly id: string;
  /** Of the action that they ended with it. */
  readonly actionId: string;
  /** Of the action that they made of it. */
  readonly edited: string;
  /** Digest of the signed decision. */
  readonly decision: Digest;
}

export interface EditedProposer extends Proposer {
  readonly editor: Editor;
}

/** Whether a proposal signature says of itself that it is of an edited proposal. What it is worth, `verifyEdited` tells. */
export function isEdited(signature: string): boolean {
  return signature.includes(SEPARATOR);
}

/** The proposal signature of what a person made of a proposal that has the signature given. */
export function editedSignature(decision: string, signature: string): string {
  return `${decision}${SEPARATOR}${signature}`;
}

/**
 * Verifies that the agent proposed something, and that a person made this of it. Whether they might, the worker decided that recorded
 * their decision: the caller must find it on the record of `editor.actionId`. The decision is verified as of when it was signed, because
 * the action may wait for people far longer than a decision may be handed in.
 *
 * @throws CountersignError AGENT_UNVERIFIED
 */
export async function verifyEdited(
  keyring: Keyring,
  signature: string,
  { digest, now }: { readonly digest: Digest; readonly now: Date },
): Promise<EditedProposer> {
  const decisions = signature.split(SEPARATOR);
  const own = decisions.pop() ?? '';
  if (decisions.length > MAX_EDITS) throw refuse(`The proposal was edited more than ${MAX_EDITS} times`);
  const edits = await Promise.all(decisions.map((decision) => openEdit(keyring, decision)));
  let to = digest;
  for (const { edit } of edits) {
    if (edit.to !== to) throw refuse('The edit is of another proposal');
    to = edit.from;
  }
  const proposer = await verifyProposal(keyring, own, { digest: to, now });
  if (edits.some(({ tenant }) => tenant !== proposer.agent.tenant)) throw refuse('The edit is of another tenant');
  const [last] = edits;
  if (last === undefined) throw refuse('The proposal signature names no edit');
  const { authority } = proposer;
  const credentials = [...authority.credentials, ...edits.flatMap((edit) => edit.credentials)];
  return { ...proposer, authority: { ...authority, credentials }, editor: last.editor };
}

async function openEdit(keyring: Keyring, decision: string) {
  const { claims, holder } = await openHeld(decision, form, ({ credential, shownDigest: signs, iat }) =>
    verifyHolder(keyring, { credential }, { kind: 'approver', signs, now: new Date(iat * 1000), refuse }),
  );
  const { actionId, tenant, edit } = claims;
  if (edit === undefined) throw refuse('The decision edits nothing');
  if (tenant !== holder.tenant) throw refuse('The edit is of another tenant');
  const editor: Editor = { id: holder.id, actionId, edited: edit.actionId, decision: digestText(decision) };
  return { edit, tenant, editor, credentials: holder.credentials };
}
