/** The keyboard: moving through lists, deciding, searching. */
import { all, one } from './dom.js';
import { openDecision } from './decision.js';

function move(by) {
  const rows = all('[data-row]');
  if (rows.length === 0) return;
  const at = rows.indexOf(document.activeElement);
  const next = at === -1 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by));
  rows[next].focus();
  rows[next].closest('li, tr')?.scrollIntoView({ block: 'nearest' });
}

const VERDICTS = { a: 'approve', d: 'deny', c: 'request_changes' };

/** From the list a decision leads to the page of the action: nothing is signed that was not shown. */
function decide(key) {
  if (one('#panel')) return openDecision(VERDICTS[key]);
  const row = document.activeElement?.closest?.('[data-row]');
  if (row?.closest('.ask:not(.unresolved)')) location.assign(`${row.getAttribute('href')}#${VERDICTS[key]}`);
}

function search() {
  if (one('[data-search]')) one('[data-search]').focus();
  else location.assign('/#search');
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  a: decide,
  d: decide,
  c: decide,
  u: () => location.assign('/'),
  '/': search,
  '?': () => one('#keys')?.showModal(),
};

export function listenToKeys() {
  document.addEventListener('keydown', (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || !Object.hasOwn(KEYS, key)) return;
    if (target.closest?.('input, textarea, select, dialog[open], [contenteditable]')) return;
    // Elsewhere the arrows scroll.
    const inList = (target.closest?.('[data-row]') || target === document.body) && one('[data-row]');
    if (key.startsWith('Arrow') && !inList) return;
    KEYS[key](key);
    event.preventDefault();
  });
}
