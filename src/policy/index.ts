/** `countersign/policy`: load, check and evaluate Cedar policy bundles. */
export {
  activePolicy,
  ActivePolicy,
  type ActivePolicyOptions,
  type PolicyLogger,
  type PolicyStatus,
  type Reload,
} from './active.js';
export type { NamedValue } from './annotations.js';
export type { ApprovalTerms } from './approval.js';
export { bundleFromFiles, type PolicyBundle } from './bundle.js';
export { compilePolicy, type Policy } from './compile.js';
export { enforce, ENFORCE_NOW, type EnforceContext } from './enforce.js';
export { evaluate } from './evaluate.js';
export { loadBundle } from './folder.js';
export { historyBesideOthers, resolveHistory, type ReadHistory } from './history/index.js';
export {
  atLimits,
  besideOthers,
  counterFigure,
  figuresOf,
  heldInAdvance,
  limitText,
  NO_LIMITS_APPLY,
  resolveLimits,
  settledAmounts,
  standingLimits,
  type AtLimit,
  type AtLimits,
  type LimitedProposal,
  type Measured,
  type ResolvedLimit,
  type ResolvedLimits,
} from './limits/index.js';
export { RolledOutPolicy, storedBundle, type PolicyPlaces } from './rolled-out.js';
export type { Rule } from './rules.js';
export { anyLimit, deniedAtLimit, ruleOnLimits, type Ruling } from './ruling.js';
export { starterFolder } from './starter.js';
