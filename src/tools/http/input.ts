/** The input of an HTTP tool: the operation, and the values for its URL, headers and body. */
import { z } from 'zod';
import type { Json, JsonObject } from '../../action/json.js';
import { fieldsOf, UnwritableField } from './fields.js';
import { headersOf } from './headers.js';
import { setsKey, type KeyPlace } from './idempotency-key.js';
import type { Operation } from './operation.js';
import { encodeBody } from './request-body.js';
import { placeProblems, type TemplateScope } from './template.js';

/** What an agent asks of an `http` tool. */
export interface HttpInput {
  /** The name of an operation in the config. */
  readonly op: string;
  /** The values for the names in the URL. */
  readonly path?: JsonObject | undefined;
  /** The query parameters: for each name a text, number or boolean, or a list of them; objects where the operation declares a style. */
  readonly query?: JsonObject | undefined;
  /** The headers, with names in lower case: texts, and lists and objects where the operation declares a style. */
  readonly headers?: JsonObject | undefined;
  /** Whatever the operation's schema takes. Required where it declares one, unless `bodyOptional` is set. */
  readonly body?: Json | undefined;
}

const PARTS = ['path', 'query', 'headers', 'body'] as const;

/** The schema of the input. It also refuses values that fit the operation's schemas but could leave their place in the request. */
export function inputSchema(operations: ReadonlyMap<string, Operation>, key: KeyPlace): z.ZodType<HttpInput> {
  const members = z.record(z.string(), z.json());
  return z
    .strictObject({
      op: z.string(),
      path: members.optional(),
      query: members.optional(),
      headers: members.optional(),
      body: z.json().optional(),
    })
    .superRefine((input, context) => {
      const refuse = (path: readonly string[], message: string): void =>
        context.addIssue({ code: 'custom', path: [...path], message });
      const operation = operations.get(input.op);
      if (operation === undefined) return refuse(['op'], `must be one of: ${[...operations.keys()].join(', ')}`);
      for (const part of PARTS) {
        const validate = operation.input[part];
        if (validate === undefined) {
          if (input[part] !== undefined) refuse([part], `${operation.name} takes no ${part}`);
          continue;
        }
        // A missing part counts as an empty object, except the body.
        const given: unknown = part === 'body' ? input.body : (input[part] ?? {});
        if (given === undefined) {
          if (!operation.bodyOptional) refuse([part], `${operation.name} needs a body`);
        } else for (const { path, message } of validate(given)) refuse([part, ...path], message);
      }
      if (setsKey(input, key)) refuse([key.header === undefined ? 'body' : 'headers'], 'sets the idempotency key');
      for (const [reference, problem] of placeProblems(operation.url, scopeOf(input))) refuse(reference, problem);
      refuseUnwritable('query', refuse, () => fieldsOf(input.query ?? {}, operation.queryStyles));
      const { body } = input;
      if (body !== undefined) refuseUnwritable('body', refuse, () => encodeBody(body, operation.bodyFormat));
      refuseUnwritable('headers', refuse, () => headersOf(input.headers ?? {}, operation.headerStyles));
    });
}

/** The values that the references of an action can lead to. */
export function scopeOf({ path, query, headers, body }: HttpInput, more: TemplateScope = {}): TemplateScope {
  return { path: path ?? {}, query: query ?? {}, headers: headers ?? {}, body, ...more };
}

/** Refuses what could not be written when the request is made. */
function refuseUnwritable(
  part: string,
  refuse: (path: readonly string[], message: string) => void,
  write: () => unknown,
): void {
  try {
    write();
  } catch (error) {
    if (!(error instanceof UnwritableField)) throw error;
    refuse([part, ...error.path], error.message);
  }
}
