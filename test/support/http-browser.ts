/** What a browser does over HTTP, without a window: cookies by host and path, redirects, the headers that tell where a request comes from. */

interface StoredCookie {
  readonly host: string;
  readonly path: string;
  readonly name: string;
  readonly value: string;
  readonly attributes: string;
}

export interface Sent {
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as a form. */
  readonly form?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
}

/** A page that was answered, with its text read. */
export interface Page {
  readonly url: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export class HttpBrowser {
  #cookies: StoredCookie[] = [];

  /** Another with the same cookies: what a thief has. */
  copy(): HttpBrowser {
    const other = new HttpBrowser();
    other.#cookies = [...this.#cookies];
    return other;
  }

  /** The value of a cookie that the host set. */
  cookie(name: string): string | undefined {
    return this.#cookies.find((cookie) => cookie.name === name)?.value;
  }

  /** The cookie's attributes as they were sent, lower case. */
  attributes(name: string): string | undefined {
    return this.#cookies.find((cookie) => cookie.name === name)?.attributes;
  }

  setCookie(host: string, name: string, value: string): void {
    this.#keep({ host, path: '/', name, value, attributes: '' });
  }

  /** One request, no redirects. */
  async request(method: 'GET' | 'POST', url: string, { headers = {}, form, json }: Sent = {}): Promise<Page> {
    const { origin } = new URL(url);
    const body =
      form === undefined ? (json === undefined ? undefined : JSON.stringify(json)) : new URLSearchParams(form);
    const response = await fetch(url, {
      method,
      redirect: 'manual',
      ...(body === undefined ? {} : { body }),
      headers: {
        cookie: this.#cookiesFor(new URL(url)),
        ...(method === 'POST' ? { origin, 'sec-fetch-site': 'same-origin' } : {}),
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
    });
    for (const line of response.headers.getSetCookie()) this.#take(new URL(url), line);
    return { url, status: response.status, headers: response.headers, text: await response.text() };
  }

  get(url: string, sent: Omit<Sent, 'form' | 'json'> = {}): Promise<Page> {
    return this.request('GET', url, sent);
  }

  post(url: string, sent: Sent = {}): Promise<Page> {
    return this.request('POST', url, sent);
  }

  /** Follows redirects from here, at most 12, and stops before one that `until` names. */
  async follow(page: Page, until: (location: string) => boolean = () => false): Promise<Page> {
    let at = page;
    for (let hop = 0; hop < 12; hop++) {
      const location = locationOf(at);
      if (location === undefined || until(location)) return at;
      at = await this.get(location);
    }
    throw new Error(`more than 12 redirects from ${page.url}`);
  }

  async open(url: string, until?: (location: string) => boolean): Promise<Page> {
    return this.follow(await this.get(url), until);
  }

  /** Fills in the page's first form and sends it. */
  async submit(
    page: Page,
    fields: Readonly<Record<string, string>>,
    until?: (location: string) => boolean,
  ): Promise<Page> {
    const form = formOf(page);
    return this.follow(await this.post(form.action, { form: { ...form.fields, ...fields } }), until);
  }

  #take(url: URL, line: string): void {
    const [pair = '', ...attributes] = line.split(/;\s*/);
    const [name = '', ...value] = pair.split('=');
    const lower = attributes.map((attribute) => attribute.toLowerCase());
    const path = attributes.find((_, index) => lower[index]?.startsWith('path='))?.slice('path='.length) ?? '/';
    const cookie = { host: url.hostname, path, name, value: value.join('='), attributes: lower.join('; ') };
    const expires = lower.find((attribute) => attribute.startsWith('expires='))?.slice('expires='.length);
    const gone = lower.includes('max-age=0') || (expires !== undefined && Date.parse(expires) < Date.now());
    if (gone) this.#forget(cookie);
    else this.#keep(cookie);
  }

  #keep(cookie: StoredCookie): void {
    this.#forget(cookie);
    this.#cookies.push(cookie);
  }

  #forget({ host, path, name }: StoredCookie): void {
    this.#cookies = this.#cookies.filter((old) => old.host !== host || old.path !== path || old.name !== name);
  }

  #cookiesFor({ hostname, pathname }: URL): string {
    return this.#cookies
      .filter(
        ({ host, path }) => host === hostname && (pathname === path || pathname.startsWith(path.replace(/\/?$/, '/'))),
      )
      .toSorted((a, b) => b.path.length - a.path.length)
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
  }
}

export function locationOf({ status, headers, url }: Page): string | undefined {
  const location = status >= 300 && status < 400 ? headers.get('location') : null;
  return location === null ? undefined : new URL(location, url).href;
}

/** The page's form with this number, and its hidden fields. */
export function formOf(page: Page, number = 0): { action: string; fields: Record<string, string> } {
  const form = [...page.text.matchAll(/<form\b[^>]*>.*?<\/form>/gs)][number]?.[0];
  if (form === undefined)
    throw new Error(`no form ${number} on ${page.url} (${page.status}): ${page.text.slice(0, 400)}`);
  const [open = ''] = /<form\b[^>]*>/.exec(form) ?? [];
  const fields: Record<string, string> = {};
  for (const [input] of form.matchAll(/<input\b[^>]*>/g)) {
    const name = attribute(input, 'name');
    if (name !== undefined) fields[name] = attribute(input, 'value') ?? '';
  }
  return { action: new URL(attribute(open, 'action') ?? page.url, page.url).href, fields };
}

function attribute(tag: string, name: string): string | undefined {
  const value = new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1];
  return value
    ?.replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}
