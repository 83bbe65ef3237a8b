/** The gateway, for whoever runs one inside a process of their own. */
export { createGateway } from './server/app.js';
export type { GatewayDependencies, GatewaySettings, OidcSettings } from './deps.js';
export type { AgentPrincipal, PersonPrincipal, Principal } from './auth/principal.js';
export { startGateway, type GatewayOptions, type RunningGateway } from './server/server.js';
export type { AgentIssuer, GatewayConfig } from '../config/gateway.js';
