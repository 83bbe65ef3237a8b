/** The key under which a tool makes an action's effect once: the same for all attempts of one action. */

const PREFIX = 'countersign:';

interface Name {
  readonly tenant: string;
  readonly actionId: string;
}

export function idempotencyKey({ tenant, actionId }: Name): string {
  return `${PREFIX}${tenant}/${actionId}`;
}

/** The action that a key belongs to; undefined when it is none of ours. */
export function workflowNameOf(key: string): Name | undefined {
  if (!key.startsWith(PREFIX)) return undefined;
  const slash = key.indexOf('/', PREFIX.length);
  if (slash === -1) return undefined;
  return { tenant: key.slice(PREFIX.length, slash), actionId: key.slice(slash + 1) };
}
