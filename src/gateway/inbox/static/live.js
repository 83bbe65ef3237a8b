/** Follows the events of a page: after each, the page is read again and what differs is put in place (Idiomorph). */
import { all, announce, one } from './dom.js';
import { updateTimes } from './times.js';

const root = document.documentElement;
const { events } = document.body.dataset;
let stream;

/** What somebody is using is left alone: an open dialog, and what is written in a field. */
const IN_USE = 'dialog[open], input:not([type=hidden]), textarea, select';

const callbacks = {
  beforeNodeMorphed: (node) => !(node instanceof Element && node.matches(IN_USE)),
  beforeAttributeUpdated(name, node) {
    if (name === 'open') return false;
    // Switched off until the person has looked again.
    return !(name === 'disabled' && 'verdict' in node.dataset && one('#notices [role=alert]'));
  },
  afterNodeAdded: (node) => node instanceof Element && node.matches('li.ask') && node.classList.add('fresh'),
};

function update(region, fresh) {
  const rows = () => all('li.ask', region).map(({ id, dataset }) => `${id} ${dataset.rev}`);
  const before = rows();
  const row = document.activeElement?.closest('li.ask');
  const at = row && region.contains(row) ? all('li.ask', region).indexOf(row) : -1;
  Idiomorph.morph(region, fresh, { morphStyle: 'outerHTML', callbacks });
  if (at !== -1) keepFocus(region, row.id, at);
  updateTimes();
  const after = rows();
  if (region.id !== 'waiting' || after.join() === before.join()) return;
  const more = after.length - before.length;
  if (more > 0) announce(more === 1 ? 'One more action waits.' : `${more} more actions wait.`);
  else announce('The list has changed.');
}

/** The focus stays on its row; where that is gone, it goes to the one in its place. */
function keepFocus(region, id, at) {
  const rows = all('li.ask', region);
  const row = document.getElementById(id) ?? rows[Math.min(at, rows.length - 1)];
  if (row?.contains(document.activeElement)) return;
  one('[data-row]', row ?? region)?.focus({ preventScroll: true });
  if (row?.id !== id) announce('The action you were at does not wait any more.');
}

/** Something else is shown now: nothing may be signed by a hand that was already on its way. */
function lookAgain() {
  const buttons = () => all('#panel [data-verdict]');
  const notice = one('#look-again').content.cloneNode(true).firstElementChild;
  notice.setAttribute('role', 'alert');
  const disabled = buttons().map((button) => button.disabled);
  for (const button of buttons()) button.disabled = true;
  one('#notices').replaceChildren(notice);
  one('button', notice).addEventListener('click', () => {
    notice.remove();
    buttons().forEach((button, index) => (button.disabled = disabled[index] ?? false));
    buttons()[0]?.focus();
  });
  scrollTo({ top: 0 });
}

function sessionEnded() {
  stream?.close();
  one('#decide')?.close?.();
  if (!one('#session-ended', one('#main'))) one('#main').prepend(one('#session-over').content.cloneNode(true));
}

function show(next) {
  const [panel, nextPanel] = [one('#panel'), one('#panel', next)];
  const decided = panel !== null && nextPanel === null;
  const changed = panel !== null && nextPanel !== null && panel.dataset.shown !== nextPanel.dataset.shown;
  if (decided || changed) one('#decide')?.close?.();
  for (const region of all('[data-live]')) {
    const fresh = next.getElementById(region.id);
    if (fresh) update(region, fresh);
  }
  if (decided) announce('The action has been decided.');
  if (changed) lookAgain();
  document.title = next.title;
  if (!next.body.dataset.events) stream?.close();
}

let reading = false;
let again = false;
let lastRead = 0;
async function refresh() {
  again = reading;
  if (reading) return;
  reading = true;
  lastRead = performance.now();
  try {
    // Redirects lead to the login, which may be on another site.
    const init = { headers: { accept: 'text/html' }, cache: 'no-store', redirect: 'manual' };
    const answer = await fetch(location.href, init);
    if (answer.type === 'opaqueredirect' || answer.status === 401) sessionEnded();
    else if (answer.ok) show(new DOMParser().parseFromString(await answer.text(), 'text/html'));
  } catch {
    // The next event tries again.
  } finally {
    reading = false;
    if (again) soon();
  }
}

/** Soon, but not more than once a second, however much happens. */
let due;
function soon() {
  clearTimeout(due);
  due = setTimeout(() => void refresh(), Math.max(120, lastRead + 1000 - performance.now()));
}

export function followEvents() {
  if (!events) return;
  stream = new EventSource(events);
  // Whatever was missed while the stream was not open is caught up with.
  let first = true;
  stream.addEventListener('open', () => {
    if (!first) soon();
    first = false;
    root.dataset.live = 'on';
  });
  stream.addEventListener('error', () => {
    root.dataset.live = 'off';
    if (stream.readyState === EventSource.CLOSED) soon();
  });
  for (const name of ['inbox', 'status', 'outcome']) stream.addEventListener(name, soon);
  addEventListener('pagehide', () => stream.close());
}
