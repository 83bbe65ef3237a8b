/** Sets of policies that one instance of Cedar has parsed: those used last, within bounds of memory. */
import { LRUCache } from 'lru-cache';
import type { Cedar } from './cedar.js';
import { policyInvalid } from './problems.js';
import { staticPolicies, type Rule } from './rules.js';

/** The most sets that are kept, and the most policies in all of them: about 10 KB each. No set is larger: a bundle has fewer policies. */
const MAX_SETS = 256;
const MAX_POLICIES = 20_000;

export class PreparsedSets {
  readonly #cedar: Cedar;
  readonly #byIds: LRUCache<string, string>;
  /** Names of sets that nothing uses any more. Cedar frees a set when another is parsed under its name, and in no other way. */
  readonly #free: string[] = [];
  #names = 0;

  constructor(cedar: Cedar) {
    this.#cedar = cedar;
    this.#byIds = new LRUCache({ max: MAX_SETS, maxSize: MAX_POLICIES, dispose: (name) => this.#free.push(name) });
  }

  /** The name under which Cedar has these policies parsed. @throws CountersignError POLICY_INVALID */
  nameOf(rules: readonly Rule[]): string {
    const ids = rules.map(({ id }) => id).join(' ');
    const known = this.#byIds.get(ids);
    if (known !== undefined) return known;
    const name = this.#free.pop() ?? `set-${this.#names++}`;
    const parsed = this.#cedar.preparsePolicySet(name, { staticPolicies: staticPolicies(rules) });
    if (parsed.type === 'failure') {
      const message = parsed.errors.map((error) => error.message).join('; ');
      throw policyInvalid([{ at: 'the folder', message, fix: 'Correct the policy named.' }]);
    }
    this.#byIds.set(ids, name, { size: rules.length + 1 });
    return name;
  }
}
