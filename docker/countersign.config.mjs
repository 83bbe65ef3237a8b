/** The worker's config in docker-compose.yml: one database, under the starter policies. Replace it with yours. */
import { defineConfig, postgres } from 'countersign/worker';

const url = process.env['APP_DATABASE_URL'];
if (!url) throw new Error('Set APP_DATABASE_URL to the database that agents may act on, as this container reaches it.');

export default defineConfig({
  policies: '../policies/starter',
  tools: [postgres({ name: 'app-db', environment: 'production', url })],
});
