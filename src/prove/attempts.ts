/** What guarantees are tried with: cases that really do what the policy says of them, and the judgement of a witness that is not the tool. */
import { asCountersignError } from '../action/errors.js';
import type { Outcome } from '../action/outcome.js';
import type { Countersign, PendingAction } from '../client/countersign.js';
import type { AgentOptions } from '../trust/index.js';
import { decidedAs, type Case, type ToolCases } from './cases.js';
import { assertionOn, passkeyOf } from './passkeys.js';
import { broken, doesNotApply, holds, together, type GuaranteeVerdict } from './verdict.js';
import type { ProposedAction, World } from './world.js';

/** More tries would not find what the first ones did not. */
const MOST_TRIES = 6;

const allowedCases = new WeakMap<World, Map<ToolCases, Promise<Case | string>>>();

/** A change of the tool that is allowed and then succeeds; or why there is none, as a sentence. */
export function allowedCase(world: World, cases: ToolCases): Promise<Case | string> {
  const known = allowedCases.get(world) ?? new Map<ToolCases, Promise<Case | string>>();
  allowedCases.set(world, known);
  const found = known.get(cases) ?? findAllowed(world, cases);
  known.set(cases, found);
  return found;
}

async function findAllowed(world: World, cases: ToolCases): Promise<Case | string> {
  const allowed = decidedAs('allow', cases.changes);
  const { name } = cases.proven.tool;
  if (allowed.length === 0) return `No rule allows any change of ${name} that could be made up.`;
  let last = '';
  const tried = new Set<string>();
  for (const one of allowed) {
    if (tried.has(one.what)) continue;
    if (tried.size >= MOST_TRIES) break;
    tried.add(one.what);
    const { outcome, pending, error } = await world.propose(one);
    if (outcome?.status === 'success') return one;
    if (pending !== undefined) await world.cancel({ actionId: pending.actionId, tool: name });
    last = outcome?.reason ?? error?.message ?? 'it waits for people';
  }
  return `No change of ${name} that a rule allows could be carried out on the scratch system: ${last}`;
}

/** An action that waits for people. */
export interface Asking {
  readonly action: PendingAction;
  readonly one: Case;
  readonly cases: ToolCases;
}

interface AskingOptions {
  /** Which are meant. Default: any. */
  readonly wanted?: (one: Case, cases: ToolCases) => boolean;
  /** Of the worker that is to take it. Default: that of the world. */
  readonly client?: Countersign;
  /** Who proposes. Default: an agent that has nothing in advance. */
  readonly agent?: Partial<AgentOptions>;
}

/** Proposes a change that people are asked about; or says why there is none. */
export async function askingAction(
  world: World,
  { wanted = () => true, client, agent }: AskingOptions = {},
): Promise<Asking | string> {
  let last = 'No rule asks people about any change that could be made up.';
  for (const cases of world.parts.cases) {
    const asking = decidedAs('require_approval', cases.changes).filter((one) => wanted(one, cases));
    // What needs no passkey says the same with less.
    const easier = [...asking.filter((one) => !asksForPasskey(one)), ...asking.filter(asksForPasskey)];
    for (const one of easier.slice(0, MOST_TRIES)) {
      const credential = await world.agentCredential({ roles: [...one.roles], ...agent });
      const { pending, outcome, error } = await world.proposeAs(credential, world.proposalOf(one), client);
      if (pending !== undefined) return { action: pending, one, cases };
      last = `What a rule asks people about did not come to them: ${outcome?.reason ?? error?.message ?? ''}`;
    }
  }
  return last;
}

export function asksForPasskey({ decision }: Pick<Case, 'decision'>): boolean {
  return decision.requirements.some(({ passkey }) => passkey === true);
}

/** Has as many people say yes as the action asks for, each with a role that it asks for, and a passkey where it asks for one. */
export async function approveAll(world: World, action: PendingAction): Promise<void> {
  const { tenant, actionId, pending } = action;
  for (const [at, { roles, quorum, passkey }] of pending.shown.requirements.entries()) {
    for (let nth = 0; nth < quorum; nth++) {
      const by = await world.person(`countersign-prove-person-${at}-${nth}`, [roles[0] as string]);
      const assertion = passkey === true ? await assertionOn(world, action, await passkeyOf(world, by)) : undefined;
      const token = await world.approval(action, by, { reason: 'prove', assertion });
      const { state } = await world.client.decide(actionId, token, tenant);
      if (state !== 'waiting') return;
    }
  }
}

/** The verdict for each tool with a change that is allowed, together. */
export async function onEachTool(
  world: World,
  attempt: (one: Case, cases: ToolCases) => Promise<GuaranteeVerdict>,
): Promise<GuaranteeVerdict> {
  const verdicts: GuaranteeVerdict[] = [];
  for (const cases of world.parts.cases) {
    const one = await allowedCase(world, cases);
    verdicts.push(typeof one === 'string' ? doesNotApply(one) : await attempt(one, cases));
  }
  return together(verdicts.length === 0 ? [doesNotApply(nothingTried(world))] : verdicts);
}

export function nothingTried({ parts }: World): string {
  const why = Object.entries(parts.untried).map(([name, reason]) => `${name}: ${reason}`);
  return why.length === 0 ? 'The config has no tools.' : `No tool is tried. ${why.join('; ')}.`;
}

interface Refusal {
  /** What was tried: `a proposal without a signature`. */
  readonly what: string;
  /** Codes of which one must be told; empty: any. */
  readonly codes: readonly string[];
  readonly fix: string;
}

/** What was tried before may have used up a limit: such a refusal says nothing of what is tried. */
const EXHAUSTED: readonly (string | undefined)[] = ['LIMIT_EXCEEDED', 'BREAKER_OPEN'];

/** Holds where the attempt is refused, and the tool's system had no effect. */
export async function refused(
  cases: ToolCases,
  { what, codes, fix }: Refusal,
  attempt: () => Promise<Pick<ProposedAction, 'outcome' | 'error' | 'pending'>>,
): Promise<GuaranteeVerdict> {
  const { name } = cases.proven.tool;
  const before = await cases.proven.effects();
  const { outcome, error, pending } = await attempt();
  const effects = (await cases.proven.effects()) - before;
  if (effects > 0) return broken(`${what} had ${effects} effects on ${name}.`, fix);
  const code = outcome?.error?.code ?? error?.code;
  if (pending !== undefined || outcome?.status === 'success' || code === undefined) {
    return broken(`${what} was not refused: it is ${outcome?.status ?? 'waiting for people'}.`, fix);
  }
  if (!codes.includes(code) && EXHAUSTED.includes(code))
    return doesNotApply(`${what} was refused for something else (${code}): ${outcome?.reason ?? ''}`);
  if (codes.length > 0 && !codes.includes(code)) {
    return broken(`${what} was refused as ${code}, not as ${codes.join(' or ')}: ${outcome?.reason ?? ''}`, fix);
  }
  return holds(`${what} was refused (${code}), and ${name} was not changed.`);
}

/** Holds where exactly one effect came of it. */
export function oneEffect(effects: number, what: string, { proven }: ToolCases): GuaranteeVerdict {
  const { name } = proven.tool;
  if (effects === 1) return holds(`${what} had one effect on ${name}.`);
  return broken(
    `${what} had ${effects} effects on ${name}.`,
    effects > 1
      ? `The tool ${name} does not make one effect of one key: see its idempotency, and what its execute sends besides.`
      : `The tool ${name} reports an effect that its system did not have: see what its execute and its probes tell.`,
  );
}

/** The code that a call is refused with; undefined where it is not. */
export async function codeOf(call: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await call();
    return undefined;
  } catch (error) {
    return asCountersignError(error).code;
  }
}

/** How long an action may take to end once nothing stands in its way. Milliseconds. */
export const END_MS = 15_000;

/** Undefined where it goes on although nothing should keep it. */
export async function endOf(action: PendingAction): Promise<Outcome | undefined> {
  try {
    return await action.outcome({ timeoutMs: END_MS });
  } catch (thrown) {
    if (asCountersignError(thrown).code === 'TIMED_OUT') return undefined;
    throw thrown;
  }
}

export function said(outcome: Outcome | undefined): string {
  return outcome === undefined ? 'no outcome' : `${outcome.status} (${outcome.reason})`;
}
