/** What an action on an HTTP service is asked with: which operation, and what goes into its URL, headers and body. */
import { z } from 'zod';
import type { Json, JsonObject } from '../../action/json.js';
import { headerProblem } from './headers.js';
import type { Operation } from './operation.js';
import { scalarAt, segmentProblem, type TemplateScope } from './template.js';

export interface HttpInput {
  /** The name of an operation in the config. */
  readonly op: string;
  /** Values of the URL's names. */
  readonly path?: JsonObject | undefined;
  /** A text, number or boolean for each name, or a list of them. */
  readonly query?: JsonObject | undefined;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Json | undefined;
}

const PARTS = ['path', 'query', 'headers', 'body'] as const;

/** Refuses what does not fit the operation's schemas, and what fits them and could still leave its place in the request. */
export function inputSchema(operations: ReadonlyMap<string, Operation>): z.ZodType<HttpInput> {
  const members = z.record(z.string(), z.json());
  return z
    .strictObject({
      op: z.string(),
      path: members.optional(),
      query: members.optional(),
      headers: z.record(z.string(), z.string()).optional(),
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
        // Parts that are objects may be left out where nothing in them is required; a body is there or not.
        const given: unknown = part === 'body' ? input.body : (input[part] ?? {});
        if (given === undefined) {
          if (!operation.bodyOptional) refuse([part], `${operation.name} needs a body`);
        } else for (const { path, message } of validate(given)) refuse([part, ...path], message);
      }
      for (const reference of operation.url.references) {
        const value = scalarAt(scopeOf(input), reference);
        const problem = value === undefined ? 'is needed for the URL' : segmentProblem(value);
        if (problem !== undefined) refuse(reference, problem);
      }
      for (const [name, value] of Object.entries(input.query ?? {})) {
        if (queryValues(value) === undefined)
          refuse(['query', name], 'must be a text, a number or a boolean, or a list of them');
      }
      for (const [name, value] of Object.entries(input.headers ?? {})) {
        const problem = headerProblem(name, value);
        if (problem !== undefined) refuse(['headers', name], problem);
      }
    });
}

/** What the references of an action lead into. */
export function scopeOf({ path, query, headers, body }: HttpInput, more: TemplateScope = {}): TemplateScope {
  return { path: path ?? {}, query: query ?? {}, headers: headers ?? {}, body, ...more };
}

/** As the query's pairs carry it; undefined for what they cannot. */
export function queryValues(value: Json): readonly string[] | undefined {
  const items = Array.isArray(value) ? (value as readonly Json[]) : [value];
  if (items.some((item) => item === null || typeof item === 'object')) return undefined;
  return items.map(String);
}
