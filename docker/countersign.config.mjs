/** The config of workers and gateways in docker-compose.yml and the Helm chart: one database, under the starter policies. Replace it with yours. */
import { readFileSync } from 'node:fs';
import { defineConfig, postgres } from 'countersign/worker';

const {
  APP_DATABASE_URL_FILE: file,
  GATEWAY_URL: publicUrl,
  OIDC_ISSUER: issuer,
  OIDC_CLIENT_ID: clientId,
} = process.env;
const isGateway = Boolean(publicUrl);
const trustedProxies = Number(process.env.GATEWAY_TRUSTED_PROXIES || 0);
if (!file && !isGateway)
  throw new Error('Set APP_DATABASE_URL_FILE to a file with the URL of the database that agents may act on.');

export default defineConfig({
  // Nobody edits a file of the image: a policy is changed by a new image, unless you take it from the ledger (docs/policy-rollout.md).
  policies: { from: 'folder', path: '../policies/starter', inProduction: true },
  // The gateway has no tool, and no credential of one.
  tools: isGateway
    ? []
    : [postgres({ name: 'app-db', environment: 'production', url: readFileSync(file, 'utf8').trim() })],
  ...(isGateway
    ? { gateway: { publicUrl, trustedProxies, ...(issuer && clientId ? { oidc: { issuer, clientId } } : {}) } }
    : {}),
});
