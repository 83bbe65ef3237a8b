/** Login of people: sessions, the identity provider, the login for development, passkeys. */
export { login } from './login.js';
export { sameHost } from '../../middleware/same-host.js';
export { jtiOf, Sessions } from '../sessions.js';
export { loginPath, safeReturn } from './return-to.js';
