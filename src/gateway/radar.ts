/** The radar, as people see and acknowledge what it found. It is about whole systems, which no tenant owns: for those who act for all tenants. */
import { CountersignError } from '../action/errors.js';
import type { RadarAlert, RadarStanding } from '../action/radar.js';
import { radarAlertId } from '../ledger/index.js';
import type { PersonPrincipal } from './auth/principal.js';
import type { GatewayDependencies } from './deps.js';

type RadarDependencies = Pick<GatewayDependencies, 'decisions' | 'ledger' | 'settings'>;
type AlertPage = ReturnType<GatewayDependencies['ledger']['radarAlerts']['page']>;
type AlertQuery = Parameters<GatewayDependencies['ledger']['radarAlerts']['page']>[0];

/** Every method throws CountersignError ROLE_REQUIRED for a person who may not. */
export class RadarDesk {
  readonly #deps: RadarDependencies;

  constructor(deps: RadarDependencies) {
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

  /** By a signed command of the person's, which workers check. The first note stays. @throws CountersignError ROLE_REQUIRED, NOT_FOUND */
  async acknowledge(person: PersonPrincipal, id: string, note: string): Promise<RadarAlert> {
    this.#assertMay(person);
    const subject = String(radarAlertId(id));
    const done = await this.#deps.decisions.state(person, { kind: 'acknowledge_alerts', subject, reason: note });
    const alert = done.kind === 'acknowledge_alerts' ? done.alerts[0] : undefined;
    if (alert === undefined) throw new CountersignError('INTERNAL', 'The command was taken for another one.');
    return alert;
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
