/** The config of worker and gateway in docker-compose.yml: one database, under the starter policies. Replace it with yours. */
import { defineConfig, postgres } from 'countersign/worker';

const { APP_DATABASE_URL: url, GATEWAY_URL: publicUrl, OIDC_ISSUER: issuer, OIDC_CLIENT_ID: clientId } = process.env;
const isGateway = Boolean(publicUrl);
if (!url && !isGateway)
  throw new Error('Set APP_DATABASE_URL to the database that agents may act on, as this container reaches it.');

export default defineConfig({
  // Nobody edits a file of the image: a policy is changed by a new image, unless you take it from the ledger (docs/policy-rollout.md).
  policies: { from: 'folder', path: '../policies/starter', inProduction: true },
  // The gateway has no tool, and no credential of one.
  tools: isGateway ? [] : [postgres({ name: 'app-db', environment: 'production', url })],
  ...(isGateway ? { gateway: { publicUrl, ...(issuer && clientId ? { oidc: { issuer, clientId } } : {}) } } : {}),
});
