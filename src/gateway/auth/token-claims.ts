/** Reads what the claims of a token say, wherever its claims hold it. */

/** The claim of this very name, else the one that the dots lead to: `realm_access.roles`, `https://acme.example/tenant`. */
export function claimAt(claims: Readonly<Record<string, unknown>>, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: unknown = claims;
  for (const key of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value;
}

/** A list of names: an array, or a text with spaces between them as in `scope` (RFC 6749, 3.3). Absent: none. What is neither comes back as it is, to be refused. */
export function namesIn(value: unknown): unknown {
  if (value === undefined || value === null) return [];
  if (typeof value === 'string') return value.split(' ').filter((name) => name !== '');
  return Array.isArray(value) ? [...new Set(value as unknown[])] : value;
}
