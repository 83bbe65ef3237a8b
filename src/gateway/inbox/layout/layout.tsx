/** The frame of every page: skip link, navigation, theme, the place where changes are announced. No inline script or style anywhere. */
import type { Context } from 'hono';
import { getCookie } from 'hono/cookie';
import { raw } from 'hono/html';
import type { Child } from 'hono/jsx';
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { GatewayEnv } from '../../auth/identity.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import { assetPath, type AssetName } from './assets.js';
import { Sanitized } from '../components/sanitized-text.js';
import { Notice } from '../components/parts.js';

type Theme = 'light' | 'dark';
type Section = 'inbox' | 'history' | 'dashboard' | 'policy' | 'freezes' | 'radar' | 'oversight' | 'me';

export interface LayoutProps {
  /** Of the page alone: the product's name is added. */
  readonly title: string;
  /** Whoever is logged in. Without one there is no navigation. */
  readonly person?: PersonPrincipal | undefined;
  readonly section?: Section | undefined;
  /** What the person chose; else the system's preference. */
  readonly theme?: Theme | undefined;
  /** Roles of the people who find the page on how others decide. */
  readonly oversightRoles?: readonly string[];
  /** Server-sent events after which the page's `data-live` regions are read again. */
  readonly live?: string | undefined;
  readonly scripts?: readonly AssetName[];
  /** `narrow`: one column for forms and messages. */
  readonly width?: 'narrow' | 'wide';
  readonly children?: Child;
}

interface Entry {
  readonly section: Section;
  readonly href: string;
  readonly label: string;
}

const SECTIONS: readonly Entry[] = [
  { section: 'inbox', href: '/', label: 'Inbox' },
  { section: 'history', href: '/history', label: 'History' },
  { section: 'dashboard', href: '/dashboard', label: 'Dashboard' },
  { section: 'policy', href: '/policy', label: 'Policy' },
  { section: 'freezes', href: '/freezes', label: 'Freezes' },
  { section: 'radar', href: '/radar', label: 'Radar' },
  { section: 'oversight', href: '/oversight', label: 'Oversight' },
];

/** Everybody finds their own figures under their name, and only some those of others. */
function mayFind({ section }: Entry, { roles }: PersonPrincipal, oversightRoles: readonly string[]): boolean {
  return section !== 'oversight' || roles.some((role) => oversightRoles.includes(role));
}

function Layout(props: LayoutProps): JSX.Element {
  const { title, person, section, theme, live, scripts = [], width = 'wide', oversightRoles = [], children } = props;
  return (
    <html lang="en" data-now={new Date().toISOString()} {...(theme === undefined ? {} : { 'data-theme': theme })}>
      <head>
        <meta charset="utf-8" />
        <title>{`${title} · Countersign`}</title>
        <meta name="viewport" content="width=device-width, initial-scale=1" />

        <link rel="icon" href={assetPath('mark.svg')} type="image/svg+xml" />
        <link rel="stylesheet" href={assetPath('inbox.css')} />
        {scripts.map((name) => (
          <script src={assetPath(name)} defer></script>
        ))}
        {live === undefined ? null : <script src={assetPath('idiomorph.js')} defer></script>}
        <script type="module" src={assetPath('inbox.js')}></script>
      </head>
      <body {...(live === undefined ? {} : { 'data-events': live })}>
        <a class="skip" href="#main">
          Skip to the content
        </a>
        <header class="top">
          <a class="brand" href="/" {...(section === 'inbox' ? { 'aria-current': 'page' } : {})}>
            <img src={assetPath('mark.svg')} alt="" width="24" height="24" />
            <span>Countersign</span>
          </a>
          {person === undefined ? null : (
            <Navigation person={person} section={section} oversightRoles={oversightRoles} />
          )}
          <button
            type="button"
            class="quiet theme needs-js"
            data-theme-switch
            aria-label="Switch between light and dark"
          >
            <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
              <circle cx="10" cy="10" r="7" fill="none" stroke="currentColor" stroke-width="1.6" />
              <path d="M10 3a7 7 0 0 1 0 14z" fill="currentColor" />
            </svg>
          </button>
        </header>
        <main id="main" class={width} tabindex={-1}>
          {children}
        </main>
        <div id="announcements" class="announcements" role="status" aria-live="polite"></div>
        {person === undefined ? null : <Keys />}
        {live === undefined ? null : <SessionOver />}
      </body>
    </html>
  );
}

function Navigation({
  person,
  section,
  oversightRoles,
}: {
  readonly person: PersonPrincipal;
  readonly section: Section | undefined;
  readonly oversightRoles: readonly string[];
}): JSX.Element {
  return (
    <>
      <nav aria-label="Pages">
        {SECTIONS.filter((entry) => mayFind(entry, person, oversightRoles)).map(({ section: name, href, label }) => (
          <a href={href} {...(name === section ? { 'aria-current': 'page' } : {})}>
            {label}
          </a>
        ))}
      </nav>
      <span class="spring"></span>
      <a class="who" href="/me" {...(section === 'me' ? { 'aria-current': 'page' } : {})}>
        <span class="visually-hidden">You: </span>
        <Sanitized text={person.name} max={40} />
      </a>
    </>
  );
}

/** Put on a page whose session ended while it was open. */
function SessionOver(): JSX.Element {
  return (
    <template id="session-over">
      <Notice tone="warn" title="Your session has ended" id="session-ended">
        <p>
          This page no longer updates. <a href="">Log in again</a>.
        </p>
      </Notice>
    </template>
  );
}

const KEYS: readonly (readonly [keys: readonly string[], does: string])[] = [
  [['j', '↓'], 'the next in the list'],
  [['k', '↑'], 'the previous in the list'],
  [['Enter'], 'open the action'],
  [['a'], 'approve'],
  [['d'], 'deny'],
  [['c'], 'ask for changes'],
  [['u'], 'back to the inbox'],
  [['/'], 'search'],
  [['?'], 'show these keys'],
];

function Keys(): JSX.Element {
  return (
    <dialog id="keys" class="needs-js" aria-labelledby="keys-title">
      <h2 id="keys-title">Keys</h2>
      <dl class="keys">
        {KEYS.map(([keys, does]) => (
          <div>
            <dt>
              {keys.map((key) => (
                <kbd>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <p class="note">Approving and denying ask for a confirmation before anything is signed.</p>
      <form method="dialog">
        <button class="button">Close</button>
      </form>
    </dialog>
  );
}

/** What the person chose, as kept in a cookie by inbox.js. Not a secret, and believed only where it is one of the two. */
function themeOf(c: Context): Theme | undefined {
  const chosen = getCookie(c, 'theme');
  return chosen === 'light' || chosen === 'dark' ? chosen : undefined;
}

/** The gateway says it to every request. */
function rolesOf(c: Context<GatewayEnv>): readonly string[] {
  return c.get('oversightRoles') ?? [];
}

/** A whole document. The theme is the request's. */
export async function page(
  c: Context,
  props: Omit<LayoutProps, 'theme' | 'oversightRoles' | 'children'>,
  content: Child,
  status: ContentfulStatusCode = 200,
): Promise<Response> {
  c.header('cache-control', 'no-store');
  return c.html(
    <>
      {raw('<!doctype html>')}
      <Layout {...props} theme={themeOf(c)} oversightRoles={rolesOf(c)}>
        {content}
      </Layout>
    </>,
    status,
  );
}
