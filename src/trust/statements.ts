/** What approvals and signed commands share: each is a statement that somebody signs, to be handed in within a time. */
import type { z } from 'zod';
import { describeShapeError, REASON_EXPECTED, validity, type RefusalFactory } from './claim-schemas.js';

/** A kind of statement, as its refusals speak of it. */
export interface StatementKind {
  readonly name: string;
  /** What refusals name where no part of the statement is to blame. */
  readonly field: string;
  /** Who signs it. */
  readonly signer: string;
  /** What to do when one has expired. */
  readonly renewal: string;
  readonly refuse: RefusalFactory;
}

/** What is to be signed, if it is of the shape. @throws what `refuse` makes, naming the field */
export function checkedOptions<S extends z.ZodType>(
  schema: S,
  options: unknown,
  { field: whole, refuse }: StatementKind,
): z.output<S> {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  const field = parsed.error.issues[0]?.path.join('.') || whole;
  throw refuse(describeShapeError(parsed.error), {
    field,
    ...(field === 'reason' ? { expected: REASON_EXPECTED } : {}),
  });
}

/** Passes while the statement is good. @throws what `refuse` makes */
export function assertInTime(
  claims: { readonly iat: number; readonly exp: number },
  now: Date,
  { name, signer, renewal, refuse }: StatementKind,
): void {
  switch (validity(claims, now)) {
    case 'early':
      throw refuse(`The ${name} was signed in the future`, {
        fix: `Check the clocks of the ${signer}'s machine and the worker's.`,
      });
    case 'expired':
      throw refuse(`The ${name} has expired`, { fix: renewal });
    case 'valid':
      return;
  }
}
