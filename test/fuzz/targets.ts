/** Everything that reads bytes from outside, and what each of them promises whatever the bytes are. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createRoute, z } from '@hono/zod-openapi';
import { assertJson, canonical, digest, withoutUndefined } from '../../src/action/json.js';
import { parseJson, readYaml } from '../../src/action/parse.js';
import { parseProposal, proposalDigest } from '../../src/action/proposal.js';
import { proposal } from '../../src/gateway/api/proposal-schema.js';
import { jsonBody, newApi, responses, strictJson } from '../../src/gateway/api/route.js';
import { safeReturn } from '../../src/gateway/auth/login/return-to.js';
import { refusalOf } from '../../src/gateway/middleware/problem.js';
import { bounded, resultOf, textOf } from '../../src/tools/mcp/result.js';
import { classify } from '../../src/tools/postgres/classify.js';
import { parseOne, print } from '../../src/tools/postgres/parser.js';
import { decodeCredential, encodeCredential } from '../../src/trust/credentials.js';
import {
  openGrant,
  parseKeyring,
  verifyApproval,
  verifyCommand,
  verifyProposal,
  verifyReceipt,
} from '../../src/trust/index.js';
import { openSealed, type SealContext } from '../../src/trust/seals.js';
import { compileExpectation } from '../../src/verify/expectation.js';
import { CORPUS, holds, refusedOr, type Target } from './target.js';
import { timestamp } from './timestamp.js';

/** What the tokens and seals of the corpus were signed with, and when. Keys of these tests alone. */
const signed = JSON.parse(readFileSync(path.join(CORPUS, 'signed.json'), 'utf8')) as {
  readonly keys: object;
  readonly now: string;
  readonly digest: `sha256:${string}`;
  readonly tokens: readonly string[];
  readonly seal: { readonly context: SealContext; readonly record: object };
};
const keyring = await parseKeyring(JSON.stringify(signed.keys), 'corpus');
const now = new Date(signed.now);

const json: Target = {
  name: 'json',
  words: ['"__proto__"', '\\ud800', '1e400', '9007199254740993', '-0', '[[[[[[[[', '\u0000', '{"a":1,"a":2}', '\ufeff'],
  async feed(text) {
    const value = await refusedOr(() => parseJson(text, 'text'));
    if (value === undefined) return;
    const text1 = canonical(value);
    holds(canonical(JSON.parse(text1)) === text1, 'the canonical text of a value is not the canonical text of itself');
    holds(digest(parseJson(text1, 'text')) === digest(value), 'a value and its canonical text have two digests');
    holds(canonical(JSON.parse(text)) === text1, 'two readers of one text see two values');
  },
};

const yaml: Target = {
  name: 'yaml',
  words: ['&a', '*a', '<<:', '!!js/function', '? ', '- - -', '%YAML 1.1', '"\\', '|+2', '0o7'],
  async feed(text) {
    const read = await refusedOr(() => ({ value: readYaml(text, 'text') }));
    // Numbers that JSON cannot carry may stand where nobody uses them.
    if (read !== undefined) holds(JSON.stringify(read.value) !== '', 'a text is read and cannot be written');
  },
};

const sql: Target = {
  name: 'sql',
  words: [
    '; DROP TABLE t',
    '/*',
    '*/',
    '$$',
    "E'\\",
    '--',
    'pg_sleep(1)',
    'WITH RECURSIVE',
    'COPY t TO',
    'DO $$',
    '((((',
    'U&"',
    '\u0000',
  ],
  async feed(text) {
    const found = await refusedOr(() => classify(text));
    if (found === undefined) return;
    const { type, node } = parseOne(text);
    const printed = await refusedOr(() => print(type, node));
    if (printed === undefined) return;
    holds(classify(printed).actionType === found.actionType, 'a statement and its print are of two kinds');
  },
};

const expectation: Target = {
  name: 'expectation',
  words: ['post.', '.all(x, ', 'delta', '&&', '?:', "r'", '\\u0000', '((((', '0x', 'in [', '1u', '.matches("(a+)+$")'],
  async feed(text) {
    await refusedOr(() => compileExpectation(text));
  },
};

/** The way of `POST /v1/actions` up to the point where the proposal is sent. */
const gateway = newApi();
gateway.use(strictJson);
const route = createRoute({
  method: 'post',
  path: '/v1/actions',
  request: { body: jsonBody(proposal) },
  responses: responses({ 200: [z.object({ digest: z.string() }), 'The digest of what was read'] }),
});
gateway.openapi(route, (c) => {
  const given = { actionId: 'a-1', ...c.req.valid('json') };
  return c.json({ digest: proposalDigest(parseProposal(withoutUndefined(given))) });
});
gateway.onError((error, c) => {
  const { status, error: refusal } = refusalOf(error, '/v1/actions');
  return c.json({ code: refusal.code, message: refusal.message }, status);
});

const body: Target = {
  name: 'body',
  words: [
    '"actionId"',
    '"expect"',
    '"from"',
    '\u00ff',
    '\u00c0\u0080',
    '"__proto__"',
    '1e999',
    '"constructor"',
    'null',
  ],
  async feed(text) {
    // A byte each, so that a body need not be UTF-8.
    const bytes = Buffer.from(text, 'latin1');
    const headers = { 'content-type': 'application/json' };
    const answer = await gateway.request('/v1/actions', { method: 'POST', headers, body: bytes });
    const said = await answer.text();
    holds(answer.status < 500, `a body is answered with ${answer.status} ${said}`);
    if (answer.status !== 200) return;
    const { digest: answered } = JSON.parse(said) as { digest: string };
    const read = parseJson(bytes.toString('utf8'), 'body') as object;
    const digests = proposalDigest(parseProposal({ actionId: 'a-1', ...read }));
    holds(answered === digests, 'the gateway reads another proposal than is in the body');
  },
};

/** Each reader of tokens, as it is called. */
const verifiers: readonly ((token: string) => Promise<unknown>)[] = [
  (token) => openGrant(keyring, token),
  (token) => verifyReceipt(keyring, token),
  (token) => verifyProposal(keyring, token, { digest: signed.digest, now }),
  (token) => verifyApproval(keyring, token, { tenant: 'acme', actionId: 'a-1', shownDigest: signed.digest, now }),
  (token) => verifyCommand(keyring, token, { now }),
];

const token: Target = {
  name: 'token',
  words: ['.', '..', 'eyJhbGciOiJub25lIn0', '=', '+', '\u0000', 'eyJ', '"alg":"HS256"', ' '],
  async feed(text) {
    for (const verify of verifiers) {
      const verified = await refusedOr(() => verify(text));
      holds(verified === undefined || signed.tokens.includes(text), 'a token verifies that nobody signed');
    }
  },
};

const credential: Target = {
  name: 'credential',
  words: ['csk_', '=', '-', '_', 'eyJraW5kIjoi', '\n'],
  async feed(text) {
    const read = await refusedOr(() => decodeCredential(text));
    if (read === undefined) return;
    holds(decodeCredential(encodeCredential(read)).token === read.token, 'a credential is another after a round trip');
  },
};

const seal: Target = {
  name: 'seal',
  words: ['"seal"', '"kind"', '"__proto__"', 'null', '{}', '[]', '\\u0000', '"toJSON"'],
  async feed(text) {
    let record: unknown;
    try {
      record = JSON.parse(text);
    } catch {
      return;
    }
    const opened = await refusedOr(() => openSealed(keyring, signed.seal.context, record as object));
    if (opened === undefined) return;
    holds(canonical(opened.record) === canonical(signed.seal.record), 'a record opens that nobody sealed');
  },
};

const MCP_BYTES = 2_000;
const mcpAnswer: Target = {
  name: 'mcp-answer',
  words: [
    '"text"',
    '"_meta"',
    '"structuredContent"',
    '"isError":true',
    '\\ud83d',
    '"__proto__"',
    'a'.repeat(3_000),
    '"\\u0001',
  ],
  async feed(text) {
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch {
      return;
    }
    // The SDK lets nothing else through.
    const { content, ...rest } = (answer ?? {}) as { content?: unknown };
    if (typeof answer !== 'object' || !Array.isArray(content) || !content.every(isBlock)) return;
    const kept = await refusedOr(() => bounded(resultOf({ ...rest, content: content as never }), MCP_BYTES));
    if (kept === undefined) return;
    assertJson(kept, 'kept');
    holds(Buffer.byteLength(JSON.stringify(kept)) <= MCP_BYTES, 'an answer that was cut is larger than its bound');
    holds(textOf(kept).isWellFormed(), 'an answer is cut in the middle of a character');
  },
};

function isBlock(block: unknown): boolean {
  return typeof block === 'object' && block !== null && !Array.isArray(block);
}

const returnTo: Target = {
  name: 'return-to',
  words: [
    '//',
    '\\',
    '%2f',
    '%5c',
    '/..',
    '@evil.example',
    '\t',
    'javascript:',
    '/login',
    '?',
    '#',
    '%00',
    '/%2e%2e//',
  ],
  feed(text) {
    const safe = safeReturn(text);
    holds(safe === '/' || safe === text, 'a place is neither the one that was given nor the first page');
    const url = new URL(safe, 'https://gateway.example');
    holds(url.origin === 'https://gateway.example', 'a login leads to another site');
    holds(!url.pathname.startsWith('/logout'), 'a login leads to the logout');
  },
};

export const TARGETS: readonly Target[] = [
  json,
  yaml,
  sql,
  expectation,
  body,
  token,
  credential,
  seal,
  mcpAnswer,
  returnTo,
  timestamp,
];
