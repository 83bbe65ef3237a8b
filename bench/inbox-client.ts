/** Whoever uses a gateway over HTTP in `bench -- inbox`: a person who logged in, or an agent with an API key. */

export class Visitor {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;

  private constructor(url: string, headers: Readonly<Record<string, string>>) {
    this.#url = url;
    this.#headers = headers;
  }

  static agent(url: string, key: string): Visitor {
    return new Visitor(url, { authorization: `Bearer ${key}` });
  }

  /** Logs in as the development login's person of that number. */
  static async person(url: string, index: number): Promise<Visitor> {
    const page = await fetch(`${url}/dev-login`);
    const state = found(await page.text(), /name="state" value="([^"]+)"/);
    const begun = await fetch(`${url}/dev-login`, {
      method: 'POST',
      redirect: 'manual',
      headers: { origin: url, cookie: cookies(page) },
      body: new URLSearchParams({ state, person: String(index) }),
    });
    const cookie = cookies(begun);
    const me = await fetch(`${url}/me`, { headers: { cookie } });
    const csrf = found(await me.text(), /name="_csrf" value="([^"]+)"/);
    return new Visitor(url, { cookie, origin: url, 'x-csrf-token': csrf });
  }

  /** The same session at another gateway. */
  at(url: string): Visitor {
    return new Visitor(url, { ...this.#headers, origin: url });
  }

  async get<T>(path: string): Promise<T> {
    return answer(await fetch(this.#url + path, { headers: this.#headers }));
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    return answer(await this.send(path, body));
  }

  /** Whatever the answer is. */
  send(path: string, body: unknown): Promise<Response> {
    return fetch(this.#url + path, {
      method: 'POST',
      headers: { ...this.#headers, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }
}

async function answer<T>(response: Response): Promise<T> {
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status}: ${text.slice(0, 500)}`);
  return JSON.parse(text) as T;
}

function cookies(response: Response): string {
  return response.headers
    .getSetCookie()
    .map((cookie) => cookie.split(';', 1)[0])
    .join('; ');
}

function found(text: string, pattern: RegExp): string {
  const [, value] = pattern.exec(text) ?? [];
  if (value === undefined) throw new Error(`${pattern.source} is not in the page: ${text.slice(0, 200)}`);
  return value;
}
