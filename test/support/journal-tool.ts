/** A tool as a user might write one: its effect is a line in a file, which is also the judge of how often it happened. */
import { appendFile, readFile } from 'node:fs/promises';
import { z } from 'zod';
import { CountersignError } from '../../src/action/errors.js';
import type { Idempotency, Tool } from '../../src/tools/tool.js';

export interface JournalInput {
  readonly line: string;
  /** How the reply goes missing, if it does: the effect happens (`after`) or not (`before`), and the tool cannot tell. */
  readonly lose?: 'before' | 'after' | undefined;
}

export interface JournalOptions {
  readonly name: string;
  readonly file: string;
  readonly idempotency: Idempotency;
  /** Default true. */
  readonly canLookUp?: boolean;
}

/** Reads the journal: one `[key, line]` per effect. */
export async function journal(file: string): Promise<readonly [key: string, line: string][]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as [string, string]);
}

export function journalTool({ name, file, idempotency, canLookUp = true }: JournalOptions): Tool<JournalInput> {
  const lines = async () => ({
    journal: Object.fromEntries((await journal(file)).map(([, line], i) => [String(i), { line }])),
  });
  return {
    name,
    kind: 'journal',
    environment: 'staging',
    idempotency,
    constraints: [],
    timeoutMs: 5000,
    input: z.strictObject({ line: z.string(), lose: z.enum(['before', 'after']).optional() }),
    actionType: () => 'WRITE',
    operation: () => 'append',
    preview: async ({ line }) => ({
      rows: 1,
      targets: ['journal'],
      reads: [],
      schemaChange: false,
      sample: [{ line }],
      summary: 'append a line to the journal',
    }),
    capture: lines,
    execute: async ({ line, lose }, { idempotencyKey }) => {
      if (lose !== 'before') await appendFile(file, `${JSON.stringify([idempotencyKey, line])}\n`);
      if (lose !== undefined) throw new CountersignError('EFFECT_UNKNOWN', 'The reply was lost.');
      return { result: { appended: line } };
    },
    ...(canLookUp
      ? {
          lookUp: async (key: string) =>
            (await journal(file)).some(([used]) => used === key)
              ? { happened: 'yes' as const, execution: { result: { found: true } } }
              : { happened: 'no' as const },
        }
      : {}),
    verify: ({ input, pre, post }) => {
      const before = Object.keys((pre['journal'] ?? {}) as object).length;
      const after = Object.values((post['journal'] ?? {}) as Record<string, { line: string }>);
      const ok = after.length === before + 1 && after.at(-1)?.line === input.line;
      return [
        { name: 'derived', ok, ...(ok ? {} : { detail: `the journal has ${after.length} lines, ${before} before` }) },
      ];
    },
    close: async () => {},
  };
}
