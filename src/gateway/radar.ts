/** The radar, as people see and acknowledge what it found. It is about whole systems, which no tenant owns: for those who act for all tenants. */
import { CountersignError } from '../action/errors.js';
import type { RadarAlert, RadarStanding } from '../action/radar.js';
import { radarAlertId } from '../ledger/index.js';
import type { PersonPrincipal } from './auth/principal.js';
import type { GatewayDependencies } from './deps.js';

type AlertPage = ReturnType<GatewayDependencies['ledger']['radarAlerts']['page']>;
type AlertQuery = Parameters<GatewayDependencies['ledger']['radarAlerts']['page']>[0];

/** Every method throws CountersignError ROLE_REQUIRED for a person who may not. */
export class RadarDesk {
  readonly #deps: Pick<GatewayDependencies, 'ledger' | 'settings'>;

  constructor(deps: Pick<GatewayDependencies, 'ledger' | 'settings'>) {
    this.#deps = deps;
  }

  may({ roles }: PersonPrincipal): boolean {
    return roles.some((role) => this.#deps.settings.platformRoles.includes(role));
  }

  async sources(person: PersonPrincipal): Promise<readonly RadarStanding[]> {
    this.#assertMay(person);
    return this.#deps.ledger.radar.sources();
  }

  /** @throws CountersignError INVALID_INPUT when the cursor is none */
  async alerts(person: PersonPrincipal, query: AlertQuery): AlertPage {
    this.#assertMay(person);
    return this.#deps.ledger.radarAlerts.page(query);
  }

  /** A note for those who come later. It orders nothing, so it is no signed command. The first stays. @throws CountersignError NOT_FOUND */
  async acknowledge(person: PersonPrincipal, id: string, note: string): Promise<RadarAlert> {
    this.#assertMay(person);
    const number = radarAlertId(id);
    const [alert] = await this.#deps.ledger.radarAlerts.acknowledge([number], { by: person.id, note });
    return alert as RadarAlert;
  }

  #assertMay(person: PersonPrincipal): void {
    if (this.may(person)) return;
    throw new CountersignError('ROLE_REQUIRED', 'You have none of the roles that see what the radar found.', {
      field: 'roles',
      expected: `one of ${this.#deps.settings.platformRoles.join(', ')}`,
      fix: 'Ask a person who has one of these roles.',
    });
  }
}
