/** Seals: what one step hands on opens as what that step of that action made, and as nothing else. */
import { beforeAll, describe, expect, test } from 'vitest';
import { narrowedKeyring, parseKeyring, type KeyringFile } from '../../src/trust/key-file.js';
import type { Keyring, KeyRole } from '../../src/trust/keys.js';
import { openSealed, sealRecord, SEAL_KEYS, type SealContext, type SealedStep } from '../../src/trust/seals.js';
import { digest } from '../../src/action/json.js';
import { digestOf, newKeys, publicPart, thrown } from './support.js';

const CONTEXT: SealContext = { workflowId: 'acme/refund-42', signedDigest: digestOf('proposal'), step: 'enforce' };
const RECORD = { kind: 'enforced', decision: { effect: 'deny' }, at: 1 };

let keyring: Keyring;
let file: KeyringFile;
beforeAll(async () => {
  ({ keyring, file } = await newKeys());
});

const only = async (...roles: KeyRole[]): Promise<Keyring> =>
  parseKeyring(JSON.stringify(await narrowedKeyring(JSON.stringify(file), 'keys', roles)), 'keys');

test('what was sealed opens as it was, with its digest', () => {
  const sealed = sealRecord(keyring, CONTEXT, RECORD);
  expect(sealed).toEqual({ ...RECORD, seal: expect.stringMatching(/^[A-Za-z0-9_-]{86}$/) });
  expect(openSealed(keyring, CONTEXT, sealed)).toEqual({ record: RECORD, digest: digest(RECORD) });
});

describe('a worker seals the steps of its own part', () => {
  const TOOL: readonly SealedStep[] = ['propose', 'capturePreState', 'execute', 'capturePostState'];
  const DECISION: readonly SealedStep[] = ['enforce', 'requestApproval', 'authorize'];

  test('and every step is of one of the two', () => {
    expect(Object.keys(SEAL_KEYS).sort()).toEqual([...TOOL, ...DECISION].sort());
  });

  test.each([
    ['tool', TOOL, DECISION],
    ['grant', DECISION, TOOL],
  ] as const)('with the %s key alone', async (role, own, others) => {
    const worker = await only(role);
    for (const step of own) {
      const sealed = sealRecord(worker, { ...CONTEXT, step }, RECORD);
      // Whoever has the public keys opens it.
      expect(openSealed(keyring, { ...CONTEXT, step }, sealed).record).toEqual(RECORD);
    }
    for (const step of others) thrown(() => sealRecord(worker, { ...CONTEXT, step }, RECORD), 'KEYS_MISSING');
  });
});

describe('a record is refused, with the step that it is said to be of,', () => {
  const sealed = () => sealRecord(keyring, CONTEXT, RECORD);
  const { seal: _, ...unsealed } = { ...RECORD, seal: '' };

  test.each<[string, () => unknown, Partial<SealContext>]>([
    ['when it is missing', () => undefined, {}],
    ['when it is null', () => null, {}],
    ['when it is a text', () => 'record', {}],
    ['without a seal', () => unsealed, {}],
    ['with a seal that is no text', () => ({ ...RECORD, seal: 7 }), {}],
    ['with an empty seal', () => ({ ...RECORD, seal: '' }), {}],
    ['when it was changed', () => ({ ...sealed(), at: 2 }), {}],
    ['when something was added', () => ({ ...sealed(), more: true }), {}],
    ['of another action', sealed, { workflowId: 'acme/refund-43' }],
    ['of another proposal', sealed, { signedDigest: digestOf('other') }],
    ['of another step that has the same key', sealed, { step: 'authorize' }],
    ['of a step that has another key', sealed, { step: 'execute' }],
  ])('%s', (_what, record, context) => {
    const at = { ...CONTEXT, ...context };
    const error = thrown(() => openSealed(keyring, at, record() as typeof RECORD), 'SEAL_INVALID');
    expect(error).toMatchObject({ field: at.step, fix: expect.stringContaining('Nothing was done') });
    expect(error.expected).toContain(`${SEAL_KEYS[at.step]} key`);
  });

  test('with another spelling of its signature, or anything around it', () => {
    const { seal, ...record } = sealed();
    for (const other of [`${seal.slice(0, -1)}B`, `${seal}=`, ` ${seal}`, `${seal}\n`, seal.slice(1)]) {
      thrown(() => openSealed(keyring, CONTEXT, { ...record, seal: other }), 'SEAL_INVALID');
    }
  });

  test('from a worker whose keys nobody knows here', async () => {
    const foreign = (await newKeys()).keyring;
    thrown(() => openSealed(keyring, CONTEXT, sealRecord(foreign, CONTEXT, RECORD)), 'SEAL_INVALID');
  });

  test('where a name could stand for a name and a line after it', () => {
    const forged = { ...CONTEXT, workflowId: `acme/x"\n${CONTEXT.signedDigest}` };
    const record = sealRecord(keyring, forged, RECORD);
    thrown(() => openSealed(keyring, { ...CONTEXT, workflowId: 'acme/x' }, record), 'SEAL_INVALID');
  });
});

test('a record of keys that were rotated opens as long as their public part is known', async () => {
  const before = sealRecord(keyring, CONTEXT, RECORD);
  const next = await newKeys();
  const old = (file.grant ?? []).map(publicPart);
  const both = { ...next.file, grant: [...(next.file.grant ?? []), ...old] };
  const rotated = await parseKeyring(JSON.stringify(both), 'keys');
  expect(openSealed(rotated, CONTEXT, before).record).toEqual(RECORD);
  expect(openSealed(rotated, CONTEXT, sealRecord(rotated, CONTEXT, RECORD)).record).toEqual(RECORD);
});

test('a seal of today opens tomorrow: what is signed is fixed, and begins as no token does', async () => {
  // The first key of RFC 8032, 7.1.
  const jwk = {
    kty: 'OKP',
    crv: 'Ed25519',
    x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
    d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
  };
  const fixed = await parseKeyring(JSON.stringify({ grant: [jwk] }), 'keys');
  const context: SealContext = { ...CONTEXT, signedDigest: `sha256:${'0'.repeat(64)}` };
  const seal = 'PTX7Lca-18tq9JPhjddk8Tz2xzFcxYineW5CrHr0bq7rRsPTGfLv0AFsC0XwrXNtxqvY2cMihtfHuER1RMq5Dw';
  expect(sealRecord(fixed, context, RECORD).seal).toBe(seal);
});
