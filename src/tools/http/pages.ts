/** Lists that come in pages: where the next page is, and all pages of one list together. */
import { CountersignError } from '../../action/errors.js';
import type { Json, JsonObject } from '../../action/json.js';
import { one } from '../../http/body.js';
import type { Answer } from '../../http/wire.js';
import type { CompiledPages } from './operation.js';
import { at } from './pointer.js';
import type { HttpResult, ResponseContext } from './response-classification.js';
import { readAt, type ReadRequest, type ReadResult, type Service } from './service.js';

/** The most items of one list. */
const MAX_ITEMS = 10_000;

/** Why a list is not all of it. */
export interface Truncated extends JsonObject {
  readonly truncated: true;
  /** What was read. */
  readonly limit: string;
  /** How the rest is got. */
  readonly more: string;
}

export interface PagedList {
  /** Undefined when the service has no such object. */
  readonly value: Json | undefined;
  readonly first: Answer;
  readonly truncated: Truncated | undefined;
}

/** The address of the next page that the Link header names (RFC 8288). */
function nextLink({ headers }: Pick<Answer, 'headers'>): string | undefined {
  for (const link of (one(headers['link']) ?? '').split(/,\s*(?=<)/)) {
    const [, address, parameters = ''] = /^\s*<([^<>]*)>(.*)$/s.exec(link) ?? [];
    const [, quoted, plain] = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))/i.exec(parameters) ?? [];
    if ((quoted ?? plain ?? '').toLowerCase().split(/\s+/).includes('next')) return address;
  }
  return undefined;
}

/** The result of a read, with a mark where the service says that there is more of it, and how to ask for that. */
export function withRest({ secrets }: Service, result: HttpResult, response: Answer, url: URL): HttpResult {
  const link = nextLink(response);
  if (link === undefined) return result;
  const next = URL.canParse(link, url.href) ? new URL(link, url) : undefined;
  const query = Object.fromEntries(next?.searchParams ?? []);
  const more =
    next?.pathname === url.pathname ? `Ask again with the query ${JSON.stringify(query)}.` : `It goes on at ${link}.`;
  return { ...result, truncated: true, limit: 'one page', more: secrets.strike(more).slice(0, 1_000) };
}

/**
 * Reads a list with its further pages, as far as the bound allows. Without `pages` the first is all that is read.
 *
 * @throws CountersignError TOOL_UNAVAILABLE (retryable), TOOL_FAILED
 */
export async function readPages(
  service: Service,
  request: ReadRequest,
  { at: tokens, pages }: { readonly at: readonly string[]; readonly pages: CompiledPages | undefined },
  context: ResponseContext,
  signal: AbortSignal,
): Promise<PagedList> {
  let page = await readAt(service, request, context, signal);
  const { response: first } = page;
  const value = at(page.result?.body, tokens);
  if (pages === undefined) {
    const more = nextLink(first) !== undefined;
    return { value, first, truncated: more ? cut('one page', 'Declare pages for the probe.') : undefined };
  }
  if (page.result === undefined) return { value: undefined, first, truncated: undefined };
  const items: Json[] = [...listIn(page, tokens, context)];
  const seen = new Set([request.url.href]);
  for (let { url } = request, count = 1; ; count++) {
    const next = nextOf(service, page, pages, url);
    if (next === undefined) return { value: items, first, truncated: undefined };
    if (seen.has(next.href)) throw broken(context, 'its next page is one that was read before');
    if (count >= pages.max || items.length >= MAX_ITEMS) {
      const limit = count >= pages.max ? `${pages.max} pages` : `${MAX_ITEMS} items`;
      return { value: items, first, truncated: cut(limit, "Raise the probe's pages.max, or narrow its URL.") };
    }
    seen.add(next.href);
    page = await readAt(service, { ...request, url: next }, context, signal);
    if (page.result === undefined) throw broken(context, 'its next page is not there');
    items.push(...listIn(page, tokens, context));
    url = next;
  }
}

function nextOf(
  service: Service,
  { response, result }: ReadResult,
  { next, parameter }: CompiledPages,
  url: URL,
): URL | undefined {
  if (next === 'link') {
    const link = nextLink(response);
    return link === undefined ? undefined : service.client.target(link, url);
  }
  const cursor = at(result?.body, next);
  if (typeof cursor !== 'number' && (typeof cursor !== 'string' || cursor === '')) return undefined;
  if (parameter === undefined) return service.client.target(String(cursor), url);
  const following = new URL(url);
  following.searchParams.set(parameter, String(cursor));
  return following;
}

function listIn({ result }: ReadResult, tokens: readonly string[], context: ResponseContext): readonly Json[] {
  const found = at(result?.body, tokens);
  if (Array.isArray(found)) return found as readonly Json[];
  throw broken(context, 'a page of it has no list where the config says');
}

function cut(limit: string, more: string): Truncated {
  return { truncated: true, limit, more };
}

function broken({ what }: ResponseContext, why: string): CountersignError {
  return new CountersignError('TOOL_FAILED', `${what} cannot be read whole: ${why}.`, {
    field: 'pages',
    fix: "Correct the probe's pages and at in the tool's config.",
  });
}
