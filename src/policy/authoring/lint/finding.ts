/** What lint finds: each finding with a stable code, how grave it is, and its place. */
import type { SourceLocation } from '../../cedar.js';

/** Every code, with its severity. docs/policy-authoring.md says what each means. An error fails `lint`, a warning only with `--strict`. */
export const FINDINGS = {
  invalid: 'error',
  'never-matches': 'error',
  'unknown-tool': 'error',
  'unknown-operation': 'error',
  'unknown-argument': 'error',
  'unknown-target': 'warning',
  'unknown-environment': 'warning',
  'unknown-kind': 'warning',
  'unknown-role': 'warning',
  unmatched: 'warning',
  'nobody-approves': 'error',
  shadowed: 'warning',
  contradiction: 'error',
  duplicate: 'warning',
  'production-open': 'error',
  'production-open-in-part': 'warning',
  'amount-missing': 'warning',
  'schema-outdated': 'warning',
  'history-unread': 'warning',
  'history-side': 'warning',
} as const satisfies Record<string, 'error' | 'warning'>;

export type FindingCode = keyof typeof FINDINGS;

export interface Finding {
  readonly code: FindingCode;
  readonly severity: 'error' | 'warning';
  /** A place in a file; a file's name where Cedar gives no place. */
  readonly at: SourceLocation | string;
  /** The rule, limit or history fact that it is about. */
  readonly id?: string;
  readonly message: string;
  readonly fix: string;
}

export function finding(code: FindingCode, about: Omit<Finding, 'code' | 'severity'>): Finding {
  return { code, severity: FINDINGS[code], ...about };
}

/** By file, line and column, then code: the same bundle gives the same order. */
export function inOrder(findings: readonly Finding[]): readonly Finding[] {
  const key = ({ at, code, id = '' }: Finding): readonly (string | number)[] =>
    typeof at === 'string' ? [at, 0, 0, code, id] : [at.file, at.line, at.column, code, id];
  return findings.toSorted((a, b) => {
    const other = key(b);
    for (const [index, part] of key(a).entries()) {
      const against = other[index] ?? '';
      if (part !== against) return part < against ? -1 : 1;
    }
    return 0;
  });
}
