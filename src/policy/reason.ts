/** Fills the facts into the sentences of `@reason`: "DELETE on a protected table ({targets})". */
import type { Facts } from '../action/decision.js';

const PLACEHOLDER = /\{([^{}]*)\}/g;
const LISTED = 10;
const CLIPPED = 128;

const FILLERS: Readonly<Record<string, (facts: Facts) => string>> = {
  action: (facts) => facts.actionType,
  agent: (facts) => clip(facts.agent.id),
  environment: (facts) => clip(facts.tool.environment),
  operation: (facts) => clip(facts.operation),
  reads: (facts) => listed(facts.preview.reads),
  roles: (facts) => listed(facts.agent.roles),
  rows: (facts) => String(facts.preview.rows),
  targets: (facts) => listed(facts.preview.targets),
  tool: (facts) => clip(facts.tool.name),
};

/** Returns the template when all its placeholders are known. @throws Error naming the unknown one */
export function checkReason(template: string): string {
  for (const [whole, name = ''] of template.matchAll(PLACEHOLDER)) {
    if (!Object.hasOwn(FILLERS, name)) {
      throw new Error(`${whole} is not one of {${Object.keys(FILLERS).join('}, {')}}`);
    }
  }
  return template;
}

/** Fills the placeholders in one pass, so that a fact that looks like a placeholder stays unchanged. */
export function fillReason(template: string, facts: Facts): string {
  return template.replace(PLACEHOLDER, (whole, name: string) =>
    Object.hasOwn(FILLERS, name) ? (FILLERS[name]?.(facts) ?? whole) : whole,
  );
}

/** Formats a list of values for a sentence: at most ten, each clipped. */
export function listed(values: readonly string[]): string {
  const shown = values
    .slice(0, LISTED)
    .map((value) => clip(value))
    .join(', ');
  return values.length > LISTED ? `${shown} and ${values.length - LISTED} more` : shown;
}

/** Shortens a value and removes control and direction characters, which could forge a line in a log or in what a person reads. */
export function clip(value: string, length = CLIPPED): string {
  const plain = value.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\u{FFFD}');
  return plain.length > length ? `${plain.slice(0, length)}…` : plain;
}
