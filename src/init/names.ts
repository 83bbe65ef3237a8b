/** The names that follow from a database's: of the tool, and of the variable that holds its address. */

const LONGEST_SLUG = 40;

/** `Shop (EU)` → `shop-eu-db`. A name without letters and digits of ASCII gives `app-db`. */
export function toolNameOf(database: string): string {
  const slug = database
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '')
    .join('-')
    .slice(0, LONGEST_SLUG)
    .replace(/-+$/, '');
  if (slug === '') return 'app-db';
  return /(^|-)db$/.test(slug) ? slug : `${slug}-db`;
}

/** `shop-db` → `SHOP_DATABASE_URL`: never `DATABASE_URL`, which names the ledger's server, nor a variable of Countersign's own. */
export function variableOf(tool: string): string {
  const words = tool
    .replace(/[-_.]?db$/i, '')
    .toUpperCase()
    .replaceAll(/[^A-Z0-9]+/g, '_');
  const stem = words.replaceAll(/^_+|_+$/g, '');
  return `${/^[A-Z]/.test(stem) && !stem.startsWith('COUNTERSIGN') ? stem : `APP${stem === '' ? '' : `_${stem}`}`}_DATABASE_URL`;
}
