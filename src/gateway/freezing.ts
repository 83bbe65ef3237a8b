/** Freezes, as people of a tenant see, make and lift them: the same by the API and on the page. */
import { CountersignError } from '../action/errors.js';
import { freezeNotFound } from '../action/errors-not-found.js';
import type { Freeze, FreezeScope } from '../action/freeze.js';
import type { GatewayDependencies } from './deps.js';
import type { PersonPrincipal } from './auth/principal.js';

export class Freezing {
  readonly #deps: Pick<GatewayDependencies, 'decisions' | 'ledger' | 'settings'>;

  constructor(deps: Pick<GatewayDependencies, 'decisions' | 'ledger' | 'settings'>) {
    this.#deps = deps;
  }

  /** Those of the person's tenant, and of every tenant. */
  async list({ tenant }: PersonPrincipal, { activeOnly = false } = {}): Promise<readonly Freeze[]> {
    const all = await this.#deps.ledger.controls.freezes({ activeOnly });
    return all.filter((freeze) => freeze.tenant === tenant || freeze.tenant === '*');
  }

  may({ roles }: PersonPrincipal): boolean {
    return roles.some((role) => this.#deps.settings.freezeRoles.includes(role));
  }

  /** Written by the gateway itself: a freeze only ever stops. @throws CountersignError ROLE_REQUIRED, INVALID_INPUT */
  async freeze(person: PersonPrincipal, scope: FreezeScope, reason: string): Promise<Freeze> {
    if (!this.may(person)) {
      throw new CountersignError('ROLE_REQUIRED', 'You have none of the roles that may freeze.', {
        field: 'roles',
        expected: `one of ${this.#deps.settings.freezeRoles.join(', ')}`,
        fix: 'Ask a person who has one of these roles.',
      });
    }
    return this.#deps.ledger.controls.freeze({ tenant: person.tenant, scope, reason, by: person.id });
  }

  /** By a signed command of the person's, which workers check. @throws CountersignError NOT_FOUND, ROLE_REQUIRED */
  async lift(person: PersonPrincipal, id: string, reason: string): Promise<Freeze> {
    const found = (await this.list(person)).find((freeze) => String(freeze.id) === id);
    if (found === undefined) throw freezeNotFound(id, ' in your tenant');
    const done = await this.#deps.decisions.state(person, { kind: 'unfreeze', subject: id, reason });
    return done.kind === 'unfreeze' ? done.freeze : found;
  }
}
