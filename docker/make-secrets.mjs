/**
 * Makes the secrets that docker-compose.yml mounts, once: `APP_DATABASE_URL=postgres://… node docker/make-secrets.mjs [folder]`. The keys are
 * made by `countersign keys`. The folder is closed to others; the files in it are mounted one by one, each into the containers that need it.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const folder = process.argv[2] ?? '.countersign/compose';
const { APP_DATABASE_URL } = process.env;
if (!APP_DATABASE_URL) {
  process.stderr.write('Set APP_DATABASE_URL to the database that agents may act on, as a container reaches it.\n');
  process.exit(2);
}

const ledgerPassword = randomBytes(24).toString('base64url');
const secrets = {
  'temporal-db-password': randomBytes(24).toString('base64url'),
  'ledger-password': ledgerPassword,
  'ledger-url': `postgres://countersign:${ledgerPassword}@ledger:5432/countersign`,
  'app-database-url': APP_DATABASE_URL,
};

mkdirSync(folder, { recursive: true, mode: 0o700 });
for (const [name, secret] of Object.entries(secrets)) {
  // Each container has a user of its own. None is made anew: a database keeps the password that it began with.
  writeFileSync(path.join(folder, name), `${secret}\n`, { flag: 'wx', mode: 0o644 });
}
process.stdout.write(`${folder}: ${Object.keys(secrets).join(', ')}\n`);
