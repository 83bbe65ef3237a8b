/** Decides once under a bundle as it is and once with one rule changed. Pure. */
import type { ActionType, Decision, Facts, Preview } from '../../action/decision.js';
import { CountersignError } from '../../action/errors.js';
import type { JsonObject } from '../../action/json.js';
import type { Agent } from '../../action/principal.js';
import type { Source } from '../../action/proposal.js';
import { bundleContents, bundleFromFiles } from '../../policy/bundle.js';
import { compilePolicy, type Policy } from '../../policy/compile.js';
import { enforce } from '../../policy/enforce.js';
import { evaluate, undecidable } from '../../policy/evaluate.js';
import type { Rule } from '../../policy/rules.js';
import type { BundleFiles } from './outline.js';

/** What is decided: the facts of a recorded action, or a proposal with its context. */
export type Question =
  | { readonly kind: 'recorded'; readonly facts: Facts; readonly input: JsonObject }
  | {
      readonly kind: 'proposed';
      readonly proposal: { readonly tool: string; readonly input: JsonObject; readonly from?: readonly Source[] };
      readonly agent: Agent;
      readonly tool: Facts['tool'];
      readonly actionType: ActionType;
      readonly operation?: string;
      readonly preview?: Partial<Preview>;
      readonly limits?: Facts['limits'];
      readonly now: string;
    };

export interface RuleChange {
  /** The rule that is replaced; absent: the text is added. */
  readonly id?: string;
  /** Cedar, of one or several rules. Empty: the rule is taken out. */
  readonly text: string;
}

export interface PolicyTrial {
  /** Under the bundle as it is. */
  readonly before: Decision;
  /** With the change. */
  readonly after: Decision;
}

/** With more rules than this a bundle is tried on the command line. */
const MOST_RULES = 1000;
const ADDED_FILE = 'your-rule.cedar';

/** @throws CountersignError POLICY_INVALID naming file, line and column; INVALID_INPUT */
export function tryOut(files: BundleFiles, change: RuleChange, question: Question): PolicyTrial {
  const bundle = bundleFromFiles(files);
  const { rules } = bundleContents(bundle);
  if (rules.length > MOST_RULES) {
    throw new CountersignError('INVALID_INPUT', `The policy has ${rules.length} rules, too many to try one here.`, {
      field: 'policy',
      expected: `at most ${MOST_RULES} rules`,
      fix: 'Use the command line: countersign policy backtest with a changed folder.',
    });
  }
  const changed = compilePolicy(bundleFromFiles(changedFiles(bundle.files, rules, change)));
  return { before: answer(compilePolicy(bundle), question), after: answer(changed, question) };
}

function changedFiles(files: BundleFiles, rules: readonly Rule[], { id, text }: RuleChange): BundleFiles {
  if (id === undefined) {
    const name = Object.hasOwn(files, ADDED_FILE) ? `x-${ADDED_FILE}` : ADDED_FILE;
    return { ...files, [name]: text };
  }
  const rule = rules.find((one) => one.id === id);
  if (rule === undefined) {
    throw new CountersignError('INVALID_INPUT', `The policy has no rule ${id}.`, {
      field: 'rule',
      expected: 'the id of a rule of the active policy',
      fix: 'Choose one from the list.',
    });
  }
  const { file } = rule.place;
  const whole = Buffer.from(files[file] ?? '', 'utf8');
  const end = rule.offset + Buffer.byteLength(rule.text, 'utf8');
  const parts = [whole.subarray(0, rule.offset), Buffer.from(text, 'utf8'), whole.subarray(end)];
  return { ...files, [file]: Buffer.concat(parts).toString('utf8') };
}

/** Limits are facts here, as they stood: what a limit itself would say is not asked. */
function answer(policy: Policy, question: Question): Decision {
  if (question.kind === 'proposed') {
    const { kind: _kind, proposal, ...context } = question;
    return enforce(proposal, { policy, ...context });
  }
  const { facts, input } = question;
  const { input: recorded, ...rest } = facts;
  try {
    // What the tool made of the input goes before what was proposed: defaults are in it.
    const declared = policy.declaredInput(facts.actionType, { ...input, ...recorded });
    return evaluate(policy, declared === undefined ? rest : { ...rest, input: declared });
  } catch (error) {
    return undecidable(policy, error);
  }
}
