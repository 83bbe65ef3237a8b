/** Keeps the times on a page up to date. */
import { all } from './dom.js';
import { ago, left, urgency } from './time-text.js';

// The clock of this machine may be wrong: what counts is how much time has passed since the server wrote the page.
const skew = Date.parse(document.documentElement.dataset.now ?? '') - Date.now() || 0;

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function keepTimes() {
  setInterval(updateTimes, 1000);
}

export function updateTimes() {
  const now = new Date(Date.now() + skew);
  for (const element of all('[data-left]')) {
    write(element, left(element.dateTime, now));
    element.className = `left ${urgency(element.dateTime, now)}`;
  }
  for (const element of all('[data-ago]')) write(element, ago(element.dateTime, now));
}
