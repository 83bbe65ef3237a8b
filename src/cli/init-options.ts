/** The options of `countersign init`, and what they must be. */
import { NAME_PATTERN, TENANT_PATTERN } from '../action/proposal.js';
import type { Environment } from '../environment.js';
import { given } from '../environment.js';
import { PRINCIPAL_PATTERN } from '../trust/claim-schemas.js';
import { usageError } from './usage-error.js';

export interface InitOptions {
  readonly yes?: boolean;
  readonly dir: string;
  readonly databaseUrl?: string;
  readonly schema: string;
  readonly table?: readonly string[];
  readonly tool?: string;
  readonly environment?: string;
  readonly agent?: string;
  readonly tenant: string;
  readonly role?: readonly string[];
  readonly ttl: string;
  readonly gatewayPort?: number;
}

export const INIT_DEFAULTS = {
  schema: 'public',
  // Any environment that is not known to be harmless counts as production: the careful choice where nobody says.
  environment: 'production',
  agent: 'assistant',
  // That of the people of the login of `countersign dev`.
  tenant: 'acme',
  role: 'read_write_user',
} as const;

const PRINCIPAL = '1 to 63 of A-Z, a-z, 0-9, ".", "_", "@" and "-", a letter or digit first';
const NAME = '1 to 63 of A-Z, a-z, 0-9, ".", "_" and "-", a letter or digit first';

/** What an option of a name must match; the text says it. */
const NAMES = {
  '--tool': [NAME_PATTERN, NAME],
  '--environment': [NAME_PATTERN, NAME],
  '--agent': [PRINCIPAL_PATTERN, PRINCIPAL],
  '--tenant': [TENANT_PATTERN, '1 to 63 of a-z, 0-9, "_" and "-", a letter or digit first'],
  '--role': [NAME_PATTERN, NAME],
} as const;
type NamedOption = keyof typeof NAMES;

/** What is wrong with a name; undefined where nothing is. */
export function nameProblem(option: NamedOption, text: string): string | undefined {
  const [pattern, expected] = NAMES[option];
  return pattern.test(text) ? undefined : expected;
}

/** @throws CountersignError USAGE */
export function checkInitOptions({ tool, environment, agent, tenant, role = [] }: InitOptions): void {
  const named: readonly (readonly [NamedOption, string | undefined])[] = [
    ['--tool', tool],
    ['--environment', environment],
    ['--agent', agent],
    ['--tenant', tenant],
    ...role.map((each) => ['--role', each] as const),
  ];
  for (const [option, text] of named) {
    const expected = text === undefined ? undefined : nameProblem(option, text);
    if (expected === undefined) continue;
    throw usageError(`${JSON.stringify(text?.slice(0, 80))} cannot be ${option}.`, { field: option, expected });
  }
}

/** What is wrong with the address of a database. It never quotes the address, which holds a password. */
export function addressProblem(text: string): string | undefined {
  const isUrl = !/[\s\p{Cc}]/u.test(text) && URL.canParse(text) && /^postgres(ql)?:$/.test(new URL(text).protocol);
  return isUrl ? undefined : 'postgres://user:password@host:port/database, with special characters percent-encoded';
}

/** The address itself, or `env:NAME` for the variable that holds it. @throws CountersignError USAGE */
export function databaseAddress(option: string | undefined, env: Environment): string | undefined {
  const text = given(option);
  if (text === undefined) return undefined;
  const [, name] = /^env:(\w+)$/.exec(text) ?? [];
  const address = name === undefined ? text : given(env[name]);
  const expected = addressProblem(address ?? '');
  if (address !== undefined && expected === undefined) return address;
  throw usageError(
    name === undefined
      ? 'This is no address of a Postgres database.'
      : `The variable ${name} holds no address of a Postgres database.`,
    { field: '--database-url', ...(expected === undefined ? {} : { expected }) },
  );
}
