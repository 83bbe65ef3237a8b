/** How people decide, as people may see it: everybody's figures for those with the role, and to each person their own. */
import { oversightReport, type OversightReport } from '../action-records/oversight-report.js';
import type { PersonPrincipal } from './auth/principal.js';
import type { GatewayDependencies } from './deps.js';

const DAY_MS = 86_400_000;

export class OversightDesk {
  readonly #deps: Pick<GatewayDependencies, 'ledger' | 'settings'>;

  constructor(deps: Pick<GatewayDependencies, 'ledger' | 'settings'>) {
    this.#deps = deps;
  }

  /** Whether the person sees how others decide. */
  may({ roles }: PersonPrincipal): boolean {
    return roles.some((role) => this.#deps.settings.oversightRoles.includes(role));
  }

  /** @throws CountersignError LEDGER_UNAVAILABLE */
  read(person: PersonPrincipal, days: number): Promise<OversightReport> {
    const { tenant, id } = person;
    return oversightReport(this.#deps.ledger, {
      tenant,
      period: days * DAY_MS,
      person: this.may(person) ? undefined : id,
    });
  }
}
