/** The config of workers and gateways of the topology. A gateway has no tool, and no credential of one. */
import { readFileSync } from 'node:fs';
import { defineConfig, postgres } from '../src/worker/index.js';

const { GATEWAY_URL: publicUrl, SHOP_DATABASE_URL_FILE: file } = process.env;

export default defineConfig({
  policies: { from: 'folder', path: '../policies/starter', inProduction: true },
  tools:
    file === undefined
      ? []
      : [postgres({ name: 'shop-db', environment: 'production', url: readFileSync(file, 'utf8').trim() })],
  ...(publicUrl === undefined ? {} : { gateway: { publicUrl, limits: { requestsPerMinute: 100_000 } } }),
});
