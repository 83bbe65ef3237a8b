/** The API's page for people: every route and every error, from the document itself, without any script. */
import type { Context } from 'hono';
import { ERROR_CODES } from '../../action/errors.js';
import { SanitizedBlock } from '../inbox/components/sanitized-text.js';
import { page } from '../inbox/layout/layout.js';
import { statusOf } from '../middleware/problem.js';
import type { ApiDocument } from './document.js';

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: { readonly description?: string };
}

interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly security?: readonly Readonly<Record<string, unknown>>[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: {
    readonly content?: Readonly<Record<string, { readonly schema?: { readonly $ref?: string } }>>;
  };
  readonly responses?: Readonly<Record<string, { readonly description?: string }>>;
}

export function docsPage(c: Context, document: ApiDocument): Promise<Response> {
  return page(
    c,
    { title: 'API' },
    <>
      <h1>API</h1>
      <p>
        {document.info.description} The document for machines: <a href="/openapi.json">openapi.json</a>.
      </p>
      {operationsOf(document).map(({ method, path, operation }) => (
        <Route method={method} path={path} operation={operation} />
      ))}
      <h2 id="schemas">Schemas</h2>
      {Object.entries(document.components?.schemas ?? {}).map(([name, schema]) => (
        <details class="plain" id={`schema-${name}`}>
          <summary>
            <code>{name}</code>
          </summary>
          <SanitizedBlock text={JSON.stringify(schema, null, 2)} code max={20_000} />
        </details>
      ))}
      <h2 id="errors">Errors</h2>
      <p>
        Errors are <code>application/problem+json</code> (RFC 9457) with a <code>code</code> that stays as it is.
      </p>
      <dl>
        {Object.entries(ERROR_CODES).map(([code, meaning]) => (
          <>
            <dt id={code}>
              <code>{code}</code> ({statusOf(code as keyof typeof ERROR_CODES)})
            </dt>
            <dd>{meaning}</dd>
          </>
        ))}
      </dl>
    </>,
  );
}

function operationsOf({ paths = {} }: ApiDocument): readonly { method: string; path: string; operation: Operation }[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item as Readonly<Record<string, Operation>>).map(([method, operation]) => ({
      method,
      path,
      operation,
    })),
  );
}

function Route({
  method,
  path,
  operation,
}: {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}) {
  const { summary, description, security = [], parameters = [], requestBody, responses = {} } = operation;
  const who = security.map((one) => (Object.hasOwn(one, 'bearer') ? 'agents' : 'people')).join(' and ');
  const body = Object.values(requestBody?.content ?? {})[0]
    ?.schema?.$ref?.split('/')
    .at(-1);
  return (
    <section>
      <h2>
        <code>{`${method.toUpperCase()} ${path}`}</code>
      </h2>
      <p>
        {summary}. For {who}. {description}
      </p>
      {parameters.length === 0 ? null : (
        <ul>
          {parameters.map(({ name, in: place, required = false, description: about, schema }) => (
            <li>
              <code>{name}</code> ({place}
              {required ? ', required' : ''}) {about ?? schema?.description ?? ''}
            </li>
          ))}
        </ul>
      )}
      {body === undefined ? null : (
        <p>
          Body:{' '}
          <a href={`#schema-${body}`}>
            <code>{body}</code>
          </a>
        </p>
      )}
      <ul>
        {Object.entries(responses).map(([status, { description: about }]) => (
          <li>
            <code>{status}</code> {about}
          </li>
        ))}
      </ul>
    </section>
  );
}
