/** What the pages do: the switch of the theme, the menu on a small screen, buttons that copy code, and the search. */
import { offerSearch } from './search.js';

const root = document.documentElement;

document.querySelector('[data-theme-switch]')?.addEventListener('click', () => {
  const system = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  const theme = (root.dataset.theme ?? system) === 'dark' ? 'light' : 'dark';
  root.dataset.theme = theme;
  try {
    localStorage.setItem('theme', theme);
  } catch {
    // It is kept for this page alone.
  }
});

const menu = document.querySelector('[data-menu]');
menu?.addEventListener('click', () => {
  const open = root.classList.toggle('menu-open');
  menu.setAttribute('aria-expanded', String(open));
});
// Only the menu itself moves: the page stays where its reader is.
const pages = document.querySelector('#menu');
const here = pages?.querySelector('[aria-current]');
if (pages && here) pages.scrollTop = here.offsetTop - pages.clientHeight / 2;

for (const figure of document.querySelectorAll('figure.code')) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'copy';
  button.textContent = 'Copy';
  button.addEventListener('click', () => void copy(figure.querySelector('code')?.textContent ?? '', button));
  figure.append(button);
}

async function copy(text, button) {
  await navigator.clipboard.writeText(text);
  button.textContent = 'Copied';
  setTimeout(() => (button.textContent = 'Copy'), 1500);
}

offerSearch(root.dataset.root ?? '');
