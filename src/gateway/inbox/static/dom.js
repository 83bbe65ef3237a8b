/** Short ways to elements, and the place where changes are announced. */
export const one = (selector, within = document) => within.querySelector(selector);
export const all = (selector, within = document) => [...within.querySelectorAll(selector)];

let timer;
/** Announces a change once, for those who see it and for those who hear it. */
export function announce(text) {
  const status = one('#announcements');
  status.textContent = text;
  clearTimeout(timer);
  timer = setTimeout(() => (status.textContent = ''), 6000);
}

/** Shows a problem in the place for it; an empty text hides it. */
export function showProblem(within, text) {
  const place = one('[data-problem]', within);
  place.textContent = text;
  place.hidden = text === '';
}
