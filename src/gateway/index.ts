/** The gateway, for whoever runs one inside a process of their own. */
export { createGateway } from './app.js';
export type { GatewayDependencies, GatewaySettings, OidcSettings } from './deps.js';
export type { AgentPrincipal, PersonPrincipal, Principal } from './principal.js';
export { startGateway, type GatewayOptions, type RunningGateway } from './server.js';
export type { AgentIssuer, GatewayConfig } from '../config/gateway.js';
