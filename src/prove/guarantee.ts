/** A named guarantee, and the attempt to break it. */
import type { GuaranteeVerdict } from './verdict.js';
import type { World } from './world.js';

export const FAMILIES = [
  'keys',
  'identity',
  'policy',
  'effects',
  'grants',
  'approvals',
  'controls',
  'privacy',
  'record',
] as const;
type Family = (typeof FAMILIES)[number];

export interface Guarantee {
  /** For reports, and for `--only`: stable. */
  readonly id: string;
  readonly family: Family;
  /** One sentence. */
  readonly promise: string;
  /** Tries to break it, on the real pipeline. What it throws means that it could not be tried. */
  check(world: World): Promise<GuaranteeVerdict>;
}
