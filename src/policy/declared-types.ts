/** The types that a schema may use without declaring them, because they are made from other files of its bundle. */
import type { Cedar } from './cedar.js';
import { historyType } from './history/cedar.js';
import { limitsType } from './limits/cedar.js';

/** The ids that a bundle declares beside its rules. */
export interface DeclaredIds {
  readonly limits: readonly string[];
  readonly history: readonly string[];
}

/**
 * Adds `Limits` and `History` to a schema that uses but does not declare them. They are declared after the author's text, in the empty namespace,
 * so every line and column stays as it is.
 */
export function withDeclaredTypes(cedar: Cedar, schema: string, { limits, history }: DeclaredIds): string {
  const fits = (text: string): boolean => cedar.schemaToJson(text).type === 'success';
  const types = [
    ...(schema.includes('Limits') ? [limitsType(limits)] : []),
    ...(schema.includes('History') ? [historyType(history)] : []),
  ];
  if (types.length === 0 || fits(schema)) return schema;
  const texts = [types.join(''), ...types].map((added) => `${schema}\n${added}`);
  return texts.find(fits) ?? texts[0] ?? schema;
}
