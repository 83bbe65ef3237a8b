/** Finds sections by their words, in an index that comes from the same place as the pages and is read when somebody begins to search. */
import MiniSearch from './minisearch.js';
import { OPTIONS } from './search-options.js';

const SHOWN = 12;

export function offerSearch(base) {
  const input = document.querySelector('#query');
  const found = document.querySelector('#found');
  const said = document.querySelector('[data-said]');
  if (!input || !found || !said) return;

  let index;
  let chosen = -1;
  const load = () => {
    index ??= fetch(`${base}search.json`)
      .then((answer) => answer.text())
      .then((text) => MiniSearch.loadJSON(text, OPTIONS));
    return index;
  };

  const choose = (at) => {
    const options = [...found.children];
    chosen = options.length === 0 ? -1 : (at + options.length) % options.length;
    for (const [n, option] of options.entries()) option.setAttribute('aria-selected', String(n === chosen));
    options[chosen]?.scrollIntoView({ block: 'nearest' });
    if (chosen < 0) input.removeAttribute('aria-activedescendant');
    else input.setAttribute('aria-activedescendant', options[chosen].id);
  };

  const show = (results) => {
    found.replaceChildren(...results.slice(0, SHOWN).map((result, n) => option(base, result, n)));
    const open = input.value.trim() !== '';
    if (open && results.length === 0) found.append(nothing());
    found.hidden = !open;
    input.setAttribute('aria-expanded', String(open));
    said.textContent = open ? `${results.length} results` : '';
    chosen = -1;
    input.removeAttribute('aria-activedescendant');
  };

  input.addEventListener('focus', () => void load());
  const find = async () => {
    const query = input.value;
    const results = (await load()).search(query);
    if (query === input.value) show(results);
  };
  input.addEventListener('input', () => void find());
  input.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown') choose(chosen + 1);
    else if (event.key === 'ArrowUp') choose(chosen < 0 ? chosen : chosen - 1);
    else if (event.key === 'Escape') {
      input.value = '';
      show([]);
    } else if (event.key === 'Enter') {
      const option = found.children[Math.max(chosen, 0)];
      if (option instanceof HTMLAnchorElement) option.click();
    } else return;
    event.preventDefault();
  });
  document.addEventListener('keydown', (event) => {
    const writes = event.target instanceof Element && event.target.closest('input, textarea, [contenteditable]');
    if (event.key !== '/' || writes || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    input.focus();
  });
  document.addEventListener('click', (event) => {
    if (!(event.target instanceof Element) || event.target.closest('search') === null) found.hidden = true;
  });
}

function option(base, { url, page, heading, excerpt }, n) {
  const link = document.createElement('a');
  link.id = `found-${n}`;
  link.href = base + url;
  link.role = 'option';
  link.tabIndex = -1;
  link.ariaSelected = 'false';
  for (const [name, text] of [
    ['strong', heading === page ? page : `${page}: ${heading}`],
    ['span', excerpt],
  ]) {
    const part = document.createElement(name);
    part.textContent = text;
    link.append(part);
  }
  return link;
}

function nothing() {
  const line = document.createElement('p');
  line.textContent = 'Nothing was found.';
  line.role = 'option';
  line.ariaSelected = 'false';
  return line;
}
