/** A policy bundle: the files of a policy, with their digest. */
import { LRUCache } from 'lru-cache';
import { CountersignError } from '../action/errors.js';
import { digest, type Digest } from '../action/json.js';
import { HISTORY_FILE, NO_HISTORY, type HistorySet } from './history/fact.js';
import { parseHistory } from './history/read.js';
import { LIMITS_FILE, NO_LIMITS, type LimitSet } from './limits/limit.js';
import { parseLimits } from './limits/read.js';
import { policyInvalid, type BundleProblem } from './problems.js';
import { readRules, SCHEMA_FILE, type Rules } from './rules.js';

export const MAX_FILE_BYTES = 1024 * 1024;
const POLICY_FILE = /^[A-Za-z0-9][A-Za-z0-9._-]*\.cedar$/;
export const BUNDLE_FILE =
  /^([A-Za-z0-9][A-Za-z0-9._-]*\.cedar|schema\.cedarschema|limits\.yaml|history\.yaml|tests\/[A-Za-z0-9][A-Za-z0-9._-]*\.yaml)$/;
export const BUNDLE_FILE_NAMES = `*.cedar, ${SCHEMA_FILE}, limits.yaml, history.yaml and tests/*.yaml`;

/** The files of a policy, known by their digest. `loadBundle` and `bundleFromFiles` make one that is valid. */
export interface PolicyBundle {
  /** The texts by path (`roles.cedar`, `tests/matrix.yaml`), with LF line ends. */
  readonly files: Readonly<Record<string, string>>;
  /** Digest of the canonical JSON (RFC 8785) of `files`. */
  readonly digest: Digest;
}

/** The content of a bundle, parsed and validated. */
export interface BundleContents extends Rules {
  readonly limits: LimitSet;
  readonly history: HistorySet;
}

const contentsOf = new WeakMap<PolicyBundle, BundleContents>();

/** By the digest of the files, of which contents are a function: a policy that comes back is not read again. */
const readLast = new LRUCache<Digest, BundleContents>({ max: 4 });

/** Parses and validates a bundle, once. @throws CountersignError POLICY_INVALID */
export function bundleContents(bundle: PolicyBundle): BundleContents {
  const cached = contentsOf.get(bundle);
  if (cached !== undefined) return cached;
  const own = bundleFromFiles(bundle.files);
  if (own.digest !== bundle.digest) {
    throw new CountersignError(
      'POLICY_INVALID',
      `The bundle's files have the digest ${own.digest}, not ${bundle.digest}.`,
      {
        field: 'bundle.digest',
        expected: own.digest,
        fix: 'The stored bundle was altered: load the policy again from its folder.',
      },
    );
  }
  return bundleContents(own);
}

/**
 * Makes a bundle from the texts of its files, as the ledger stores them.
 *
 * @throws CountersignError POLICY_INVALID: a file is unknown, too large or not text; the schema or every policy is missing; a policy
 *   does not parse, does not fit the schema, or has annotations that mean nothing; a limit or a history fact
 *   cannot be used. The message names file,
 *   line and column.
 */
export function bundleFromFiles(files: Readonly<Record<string, string>>): PolicyBundle {
  const problems: BundleProblem[] = [];
  const texts: Record<string, string> = {};
  for (const [path, text] of Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const problem = fileProblem(path, text);
    if (problem === undefined) texts[path] = text.replaceAll('\r\n', '\n');
    else problems.push(problem);
  }
  if (!Object.keys(files).some((path) => POLICY_FILE.test(path))) {
    problems.push({ at: 'the folder', message: 'it has no policies', fix: 'Add at least one *.cedar file.' });
  }
  if (!Object.hasOwn(files, SCHEMA_FILE)) {
    problems.push({ at: SCHEMA_FILE, message: 'it is missing', fix: 'Copy it from the starter bundle.' });
  }
  const limitsText = texts[LIMITS_FILE];
  const limits = limitsText === undefined ? NO_LIMITS : parseLimits(limitsText, problems);
  const historyText = texts[HISTORY_FILE];
  const history = historyText === undefined ? NO_HISTORY : parseHistory(historyText, problems);
  const [first, ...others] = problems;
  if (first !== undefined) throw policyInvalid([first, ...others]);
  const bundle: PolicyBundle = Object.freeze({ files: Object.freeze(texts), digest: digest(texts) });
  const ids = { limits: limits.limits.map(({ id }) => id), history: history.facts.map(({ id }) => id) };
  const read = (): BundleContents => ({
    ...readRules(policyFiles(texts), texts[SCHEMA_FILE] ?? '', ids),
    limits,
    history,
  });
  const contents = readLast.get(bundle.digest) ?? read();
  readLast.set(bundle.digest, contents);
  contentsOf.set(bundle, contents);
  return bundle;
}

function policyFiles(texts: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(texts).filter(([path]) => POLICY_FILE.test(path)));
}

function fileProblem(path: string, text: unknown): BundleProblem | undefined {
  if (!BUNDLE_FILE.test(path)) {
    return {
      at: path,
      message: 'it is no file of a policy bundle',
      expected: BUNDLE_FILE_NAMES,
      fix: 'Rename it or take it out.',
    };
  }
  if (typeof text !== 'string' || !text.isWellFormed() || text.includes('\u0000')) {
    return { at: path, message: 'it is not text', expected: 'UTF-8 text without NUL', fix: 'Save the file as UTF-8.' };
  }
  return Buffer.byteLength(text, 'utf8') > MAX_FILE_BYTES ? tooLarge(path) : undefined;
}

export function tooLarge(path: string): BundleProblem {
  return { at: path, message: 'it is over 1 MiB', expected: 'at most 1 MiB a file', fix: 'Split the file.' };
}
