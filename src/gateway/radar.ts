/** The radar, as people see and acknowledge what it found. It is about whole systems, which no tenant owns: for those who act for all tenants. */
import { CountersignError } from '../action/errors.js';
import { radarAlertNotFound } from '../action/errors-not-found.js';
import type { RadarAlert, RadarStanding } from '../action/radar.js';
import type { PersonPrincipal } from './auth/principal.js';
import type { GatewayDependencies } from './deps.js';

export class RadarDesk {
  readonly #deps: Pick<GatewayDependencies, 'ledger' | 'settings'>;

  constructor(deps: Pick<GatewayDependencies, 'ledger' | 'settings'>) {
    this.#deps = deps;
  }

  may({ roles }: PersonPrincipal): boolean {
    return roles.some((role) => this.#deps.settings.platformRoles.includes(role));
  }

  async sources(): Promise<readonly RadarStanding[]> {
    return this.#deps.ledger.radar.sources();
  }

  /** `before`: older ones than this alert. */
  async list(before?: number): Promise<{ open: readonly RadarAlert[]; past: readonly RadarAlert[] }> {
    const { radar } = this.#deps.ledger;
    const [open, all] = await Promise.all([
      radar.list({ open: true, before, limit: 100 }),
      radar.list({ before, limit: 100 }),
    ]);
    return { open, past: all.filter(({ acknowledged }) => acknowledged !== undefined) };
  }

  /** @throws CountersignError ROLE_REQUIRED, NOT_FOUND */
  async acknowledge(person: PersonPrincipal, ids: readonly string[], note: string): Promise<readonly RadarAlert[]> {
    if (!this.may(person)) {
      throw new CountersignError(
        'ROLE_REQUIRED',
        'You have none of the roles that may acknowledge what the radar found.',
        {
          field: 'roles',
          expected: `one of ${this.#deps.settings.platformRoles.join(', ')}`,
          fix: 'Ask a person who has one of these roles.',
        },
      );
    }
    const numbers = ids.map((id) => {
      if (/^[1-9]\d{0,11}$/.test(id)) return Number(id);
      throw radarAlertNotFound(0);
    });
    return this.#deps.ledger.radar.acknowledge(numbers, { by: person.id, note });
  }
}
