/** The operator's side of the demo: the worker's tools, their credentials and the policies. No agent ever sees this. */
import { defineConfig, postgres } from '../../src/worker/index.js';

export default defineConfig({
  policies: { from: 'ledger' },
  tools: [
    postgres({
      name: 'shop-db',
      environment: 'production',
      url: process.env['SHOP_DATABASE_URL'] ?? '',
    }),
  ],
});
