/** What trying to break a guarantee came to. */
export type GuaranteeVerdict =
  | { readonly status: 'holds'; readonly detail: string }
  | { readonly status: 'broken'; readonly detail: string; readonly fix: string }
  | { readonly status: 'not_applicable'; readonly detail: string };

export function holds(detail: string): GuaranteeVerdict {
  return { status: 'holds', detail };
}

export function broken(detail: string, fix: string): GuaranteeVerdict {
  return { status: 'broken', detail, fix };
}

/** `why`: a sentence. */
export function doesNotApply(why: string): GuaranteeVerdict {
  return { status: 'not_applicable', detail: why };
}

/** One verdict of several: broken where one is; it applies where one does. */
export function together(verdicts: readonly GuaranteeVerdict[]): GuaranteeVerdict {
  const bad = verdicts.flatMap((one) => (one.status === 'broken' ? [one] : []));
  const [first] = bad;
  if (first !== undefined) return broken(bad.map(({ detail }) => detail).join(' '), first.fix);
  const good = verdicts.filter(({ status }) => status === 'holds');
  return good.length > 0
    ? holds(good.map(({ detail }) => detail).join(' '))
    : doesNotApply(verdicts.map(({ detail }) => detail).join(' ') || 'No tool could be tried.');
}
