/** How a new credential gets to its holder: into a file of their own, or onto the screen, once. */
import { resolve } from 'node:path';
import { CountersignError } from '../action/errors.js';
import type { DelegationCap } from '../action/principal.js';
import type { Credential } from '../trust/index.js';
import type { Context } from './context.js';
import { durationOption } from './duration-options.js';
import { sanitize } from '../presentation/sanitize.js';
import { usageError } from './usage-error.js';

export interface IssueOptions {
  readonly id: string;
  readonly tenant: string;
  readonly role?: readonly string[];
  readonly ttl: string;
  readonly out?: string;
}

/** Seconds. @throws CountersignError USAGE */
export function ttlOf({ ttl }: IssueOptions): number {
  return Math.max(1, Math.floor(durationOption(ttl, '--ttl') / 1000));
}

/** Issues what the options ask for. @throws CountersignError USAGE when they cannot be a credential; KEYS_* */
export async function withOptionNames<T = Credential>(issue: () => Promise<T>): Promise<T> {
  try {
    return await issue();
  } catch (error) {
    if (!(error instanceof CountersignError) || error.code !== 'CONFIG_INVALID') throw error;
    const [field = 'id'] = (error.field ?? '').split('.');
    const { fix = '' } = error;
    throw usageError(error.message, { field: OPTION[field] ?? field, fix });
  }
}

const OPTION: Readonly<Record<string, string>> = {
  id: '--id',
  agent: '--id',
  tenant: '--tenant',
  roles: '--role',
  scopes: '--scope',
  owner: '--owner',
  ttlSeconds: '--ttl',
  expires: '--expires',
  caps: '--max-actions or --max-amount',
};

/** @throws CountersignError USAGE when the file exists or cannot be made */
export async function handOverCredential(
  { out, env }: Context,
  options: Pick<IssueOptions, 'out'>,
  credential: Credential,
): Promise<void> {
  const { encodeCredential, peekCredential } = await import('../trust/index.js');
  const holder = peekCredential(credential);
  const { kind, id, tenant, roles, scopes, owner, caps, expiresAt, jti } = holder;
  const text = encodeCredential(credential);
  const variable = kind === 'agent' ? 'COUNTERSIGN_AGENT' : 'COUNTERSIGN_APPROVER';
  if (options.out === undefined) {
    out.warn(
      'This is a secret and is shown once. Whoever has it can act under this name. Use --out to write it to a file instead.',
    );
    out.result({ ...holder, credential: text }, () => text);
    return;
  }
  const file = await writeSecret(options.out, `${text}\n`);
  out.result({ ...holder, file }, () =>
    [
      `${out.paint.green('✓')} ${kind} ${out.paint.bold(id)} of ${tenant}, until ${expiresAt.toISOString()}`,
      `  roles   ${roles.join(', ') || 'none'}`,
      ...(kind === 'agent' ? [`  scopes  ${scopes.join(', ')}`] : []),
      ...(owner === undefined ? [] : [`  owner   ${owner}`]),
      ...(caps ?? []).map((cap) => `  spends  at most ${capText(cap)}`),
      `  jti     ${jti}`,
      '',
      ...(env[variable] === undefined
        ? [`  export ${variable}=${sanitize(file)}`]
        : [`  use it with --as ${sanitize(file)}`]),
    ].join('\n'),
  );
}

function capText({ actions, amounts = {} }: DelegationCap): string {
  const parts = Object.entries(amounts).map(([unit, amount]) => `${amount} ${unit}`);
  return [...(actions === undefined ? [] : [`${actions} actions`]), ...parts].join(', ');
}

/** A new file that only its owner can read; an existing one is never replaced. Returns its absolute path. */
export async function writeSecret(given: string, text: string): Promise<string> {
  const { writeFile } = await import('node:fs/promises');
  const file = resolve(given);
  try {
    await writeFile(file, text, { mode: 0o600, flag: 'wx' });
    return file;
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw usageError(exists ? `${file} already exists.` : `${file} cannot be written.`, {
      field: '--out',
      expected: 'a new file in a folder that can be written',
      fix: exists ? 'Choose another name, or move the existing file.' : 'Choose another place.',
    });
  }
}
