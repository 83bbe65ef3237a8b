/** Checks what a person made of a proposal before their decision counts, so that they learn of a mistake while they can correct it. */
import { COMPENSATION_PREFIX } from '../src/action/compensation-ids.js';
import { assertEdited } from '../src/action/edit.js';
import { CountersignError } from '../src/action/errors.js';
import { parseProposal, proposalDigest, signedProposalDigest } from '../src/action/proposal.js';
import { editedSignature } from '../src/trust/index.js';
import { decisionOf } from './approvals.js';
import { readInput } from './authenticate.js';
import type { CheckedEdit, EditCheck } from './contract.js';
import type { Dependencies } from './deps.js';

/** @throws CountersignError what `checkApproval` throws; EDIT_INVALID, INVALID_PROPOSAL, INVALID_INPUT, INVALID_EXPECTATION */
export async function checkEdit(check: EditCheck, deps: Dependencies): Promise<CheckedEdit> {
  const { original, token } = check;
  const proposal = parseProposal(check.edited);
  const record = await decisionOf(check, deps, ({ edit }) => {
    const signed = edit?.from === signedProposalDigest(original.proposal) && edit.to === signedProposalDigest(proposal);
    if (!signed) throw notSigned();
    if (original.proposal.actionId.startsWith(COMPENSATION_PREFIX)) throw undoes();
    assertEdited(original.proposal, proposal);
    readInput(proposal, deps);
  });
  const signature = editedSignature(token, original.signature);
  return { record, request: { proposal, digest: proposalDigest(proposal), signature } };
}

function notSigned(): CountersignError {
  return new CountersignError('EDIT_INVALID', 'The edited proposal is not the one that the decision was signed for.', {
    field: 'edited',
    expected: 'the proposal whose digest the decision names',
    fix: 'Sign the edit again, and hand in with it what was signed.',
  });
}

function undoes(): CountersignError {
  return new CountersignError('EDIT_INVALID', 'What undoes an action follows from what it did, and cannot be edited.', {
    field: 'edited',
    expected: 'an action that an agent proposed',
    fix: 'Approve or deny the undoing as it is.',
  });
}
