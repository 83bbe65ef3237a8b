/** Who may propose: nobody without a signature, a credential that is good, and a scope that covers it. */
import { randomUUID } from 'node:crypto';
import { decodeJwt } from 'jose';
import { startAction } from '../../client/action.js';
import { digest } from '../../action/json.js';
import { parseProposal, proposalDigest } from '../../action/proposal.js';
import { generateKeyringFile, issueAgent, parseKeyring, signProposal, type Credential } from '../../trust/index.js';
import { onEachTool, refused } from '../attempts.js';
import type { Case, ToolCases } from '../cases.js';
import type { Guarantee } from '../guarantee.js';
import { together, type GuaranteeVerdict } from '../verdict.js';
import type { ProposedAction, World } from '../world.js';

const FIX = 'This is a fault of Countersign: report it, and let no agent propose until it is corrected.';

/** Proposes past the client, which would not send what is not signed well. */
async function rawly(world: World, one: Case, signature: string): Promise<Pick<ProposedAction, 'outcome'>> {
  const proposal = parseProposal(world.proposalOf(one));
  const agent = { tenant: world.parts.tenant, id: 'countersign-prove-agent' };
  const request = { proposal, digest: proposalDigest(proposal), signature };
  const reply = await startAction(world.client.temporal, world.parts.temporal, agent, request);
  return reply.kind === 'outcome' ? { outcome: reply.outcome } : {};
}

async function withCredential(
  world: World,
  cases: ToolCases,
  one: Case,
  attack: { readonly what: string; readonly codes: readonly string[]; readonly credential: Credential },
): Promise<GuaranteeVerdict> {
  return refused(cases, { ...attack, fix: FIX }, () => world.propose(one, {}, attack.credential));
}

export const IDENTITY: readonly Guarantee[] = [
  {
    id: 'proposals-are-signed',
    family: 'identity',
    promise: 'A proposal without the signature of its agent, or with one over something else, is refused.',
    check: (world) =>
      onEachTool(world, async (one, cases) => {
        const credential = await world.agentCredential({ roles: [...one.roles] });
        const other = await signProposal(credential, digest(randomUUID()));
        const codes = ['AGENT_UNVERIFIED'];
        return together([
          await refused(cases, { what: 'A proposal without a signature', codes, fix: FIX }, () =>
            rawly(world, one, ''),
          ),
          await refused(cases, { what: 'A proposal with the signature of another one', codes, fix: FIX }, () =>
            rawly(world, one, other),
          ),
        ]);
      }),
  },
  {
    id: 'credentials-of-strangers-are-refused',
    family: 'identity',
    promise: 'A credential that another issuer signed lets nobody propose.',
    check: (world) =>
      onEachTool(world, async (one, cases) => {
        const strangers = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'strangers');
        const who = { id: 'countersign-prove-agent', tenant: world.parts.tenant, roles: [...one.roles], scopes: ['*'] };
        const credential = await issueAgent(strangers, who);
        return withCredential(world, cases, one, {
          what: 'A credential of a stranger',
          codes: ['AGENT_UNVERIFIED'],
          credential,
        });
      }),
  },
  {
    id: 'expired-credentials-are-refused',
    family: 'identity',
    promise: 'A credential that has expired lets nobody propose.',
    check: (world) =>
      onEachTool(world, async (one, cases) => {
        const { keyring, tenant } = world.parts;
        const who = { id: 'countersign-prove-agent', tenant, roles: [...one.roles], scopes: ['*'], ttlSeconds: 60 };
        const credential = await issueAgent(keyring, who, new Date(Date.now() - 86_400_000));
        return withCredential(world, cases, one, {
          what: 'An expired credential',
          codes: ['AGENT_UNVERIFIED'],
          credential,
        });
      }),
  },
  {
    id: 'revoked-credentials-are-refused',
    family: 'identity',
    promise: 'A credential that was revoked lets nobody propose.',
    check: (world) =>
      onEachTool(world, async (one, cases) => {
        const { ledger, tenant } = world.parts;
        const credential = await world.agentCredential({ roles: [...one.roles] });
        const { jti } = decodeJwt(credential.token);
        await ledger.controls.revoke({ tenant, jti: jti as string, reason: 'prove', by: 'countersign prove' });
        return withCredential(world, cases, one, {
          what: 'A revoked credential',
          codes: ['CREDENTIAL_REVOKED'],
          credential,
        });
      }),
  },
  {
    id: 'scopes-bound-agents',
    family: 'identity',
    promise: 'An agent proposes nothing that the scopes of its credential do not cover.',
    check: (world) =>
      onEachTool(world, async (one, cases) => {
        const credential = await world.agentCredential({
          roles: [...one.roles],
          scopes: ['countersign-prove-nothing'],
        });
        return withCredential(world, cases, one, {
          what: 'A proposal beyond its scopes',
          codes: ['SCOPE_DENIED'],
          credential,
        });
      }),
  },
];
