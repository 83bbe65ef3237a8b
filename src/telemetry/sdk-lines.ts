/** What Temporal's SDK says, as lines of this process. An error of a step has a message and details, which may quote what an action holds. */

/** Frames of a stack, without the message above them. */
const FRAME = /^\s+at /;

/** The fields of a line. `redacts`: the config redacts something, so that of an error no more is told than its kind and where it came from. */
export function sdkFields(meta: Readonly<Record<string, unknown>> = {}, redacts: boolean): object {
  const { error, ...fields } = meta;
  if (!redacts || error === undefined) return { ...meta };
  if (!(error instanceof Error)) return { ...fields, error: { type: typeof error } };
  const { type } = error as { readonly type?: unknown };
  const frames = (error.stack ?? '').split('\n').filter((line) => FRAME.test(line));
  return {
    ...fields,
    error: { type: typeof type === 'string' ? type : error.name, stack: frames.join('\n') },
  };
}
