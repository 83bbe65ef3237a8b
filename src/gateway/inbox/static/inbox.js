/** What the pages do beyond forms and links: live updates, keys, dialogs, passkeys, the theme. Nothing here is needed to decide. */
(() => {
  'use strict';
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const root = document.documentElement;

  /** Said once, for those who see it and for those who hear it. */
  let hush;
  function tell(text) {
    const news = one('#news');
    news.textContent = text;
    clearTimeout(hush);
    hush = setTimeout(() => (news.textContent = ''), 6000);
  }

  // The theme

  function themeNow() {
    return root.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
  }
  one('[data-theme-switch]')?.addEventListener('click', () => {
    const theme = themeNow() === 'dark' ? 'light' : 'dark';
    root.dataset.theme = theme;
    const secure = location.protocol === 'https:' ? '; Secure' : '';
    document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
    tell(`It is ${theme} now.`);
  });

  // Time left and time since, as the server writes them (format.ts)

  function coarse(ms) {
    const minutes = Math.max(0, Math.floor(ms / 60_000));
    if (minutes < 1) return `${Math.max(0, Math.floor(ms / 1000))} s`;
    if (minutes < 60) return `${minutes} min`;
    const hours = Math.floor(minutes / 60);
    if (hours < 10) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
    return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
  }
  // The clock here may be wrong: what counts is how much time passes, from what the server said.
  const skew = Date.parse(root.dataset.now ?? '') - Date.now() || 0;
  const now = () => Date.now() + skew;
  function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }
  function tick() {
    for (const element of all('[data-left]')) {
      const ms = Date.parse(element.dateTime) - now();
      const tone = ms <= 0 ? 'over' : ms < 900_000 ? 'now' : ms < 7_200_000 ? 'soon' : 'later';
      write(element, ms > 0 ? `${coarse(ms)} left` : 'time is over');
      element.className = `left ${tone}`;
    }
    for (const element of all('[data-ago]')) {
      const ms = now() - Date.parse(element.dateTime);
      write(element, ms < 45_000 ? 'just now' : `${coarse(ms)} ago`);
    }
  }
  setInterval(tick, 1000);

  // Live: after an event the page is read again, and only what differs is put in place

  function putList(list, fresh) {
    const old = new Map([...list.children].map((item) => [item.id, item]));
    const wanted = [...fresh.children].map((item) => {
      const kept = old.get(item.id);
      const same = kept !== undefined && kept.dataset.rev === item.dataset.rev;
      if (!same) item.classList.add('fresh');
      return same ? kept : item;
    });
    const active = document.activeElement?.closest('li');
    const at = active && list.contains(active) ? [...list.children].indexOf(active) : -1;
    list.replaceChildren(...wanted);
    if (at === -1) return;
    const again =
      (active.id && document.getElementById(active.id)) || list.children[Math.min(at, list.children.length - 1)];
    one('[data-row]', again ?? list)?.focus({ preventScroll: true });
    if (again?.id !== active.id) tell('The one you were at does not wait any more.');
  }

  function put(region, fresh) {
    const [list, freshList] = [one('ol.asks', region), one('ol.asks', fresh)];
    if ('keyed' in region.dataset && list && freshList) {
      const [before, after] = [list.children.length, freshList.children.length];
      putList(list, freshList);
      const more = one('.more', fresh);
      one('.more', region)?.remove();
      if (more) region.append(more);
      if (after > before) tell(after - before === 1 ? 'One more waits.' : `${after - before} more wait.`);
      return;
    }
    if (region.innerHTML === fresh.innerHTML) return;
    const focused = region.contains(document.activeElement) ? document.activeElement.id : undefined;
    const open = new Set(all('details[open] > summary', region).map((summary) => summary.textContent));
    region.replaceWith(fresh);
    for (const summary of all('details > summary', fresh)) {
      if (open.has(summary.textContent)) summary.parentElement.open = true;
    }
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    if (region.id === 'waiting') tell('The list has changed.');
  }

  /** What is shown is another thing now: nothing may be signed by a hand that was already on its way. */
  function lookAgain(panel) {
    one('#decide')?.close?.();
    for (const button of all('[data-verdict]', panel)) button.disabled = true;
    const notice = one('#look-again').content.cloneNode(true).firstElementChild;
    notice.setAttribute('role', 'alert');
    one('#notices').replaceChildren(notice);
    one('button', notice).addEventListener('click', () => {
      notice.remove();
      for (const button of all('[data-verdict]', panel)) button.disabled = false;
      one('[data-verdict]', panel)?.focus();
    });
    scrollTo({ top: 0 });
  }

  function sessionEnded() {
    stream?.close();
    const main = one('#main');
    if (one('#session-ended', main)) return;
    main.prepend(one('#session-over').content.cloneNode(true));
    one('#decide')?.close?.();
  }

  let reading = false;
  let again = false;
  let lastRead = 0;
  async function refresh() {
    if (reading) {
      again = true;
      return;
    }
    reading = true;
    lastRead = performance.now();
    try {
      const answer = await fetch(location.href, {
        headers: { accept: 'text/html' },
        cache: 'no-store',
        // To the login, which may be on another site.
        redirect: 'manual',
      });
      if (answer.type === 'opaqueredirect' || answer.status === 401) return sessionEnded();
      if (!answer.ok) return;
      const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const dialog = one('#decide');
      const panel = one('#panel');
      const nextPanel = one('#panel', next);
      const changed = panel && nextPanel && panel.dataset.shown !== nextPanel.dataset.shown;
      const decided = panel && !nextPanel;
      if (decided || (!panel && nextPanel)) {
        one('.action').replaceWith(one('.action', next));
        if (decided) tell('It has been decided.');
      } else {
        for (const region of all('[data-live]')) {
          // What somebody is writing in is left alone, unless what it is about has changed.
          if (!changed && dialog?.open && region.contains(dialog)) continue;
          const fresh = document.getElementById(region.id) && next.getElementById(region.id);
          if (fresh) put(region, fresh);
        }
      }
      if (changed) lookAgain(one('#panel'));
      document.title = next.title;
      if (!next.body.dataset.events) stream?.close();
      tick();
    } catch {
      // The next event tries again.
    } finally {
      reading = false;
      if (again) {
        again = false;
        setTimeout(() => void refresh(), 1000);
      }
    }
  }

  let stream;
  const { events } = document.body.dataset;
  if (events && 'EventSource' in window) {
    stream = new EventSource(events);
    let first = true;
    let due;
    const soon = () => {
      clearTimeout(due);
      // Soon, but not more than once a second, however much happens.
      due = setTimeout(() => void refresh(), Math.max(120, lastRead + 1000 - performance.now()));
    };
    // Whatever was missed before it was open, or while it was not, is caught up with.
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

  // The dialog before a decision

  const WORDS = {
    approve: {
      question: 'Approve this?',
      reason: 'Reason (you need none)',
      consequence: 'You sign exactly what this page shows. It is done at once when nobody else is needed.',
      confirm: 'Approve',
      style: 'button go',
    },
    deny: {
      question: 'Deny this?',
      reason: 'Why not? The agent reads this.',
      consequence: 'Nothing will be done. The agent is told why.',
      confirm: 'Deny',
      style: 'button stop',
    },
    request_changes: {
      question: 'Ask for changes?',
      reason: 'What should be different? The agent reads this.',
      consequence: 'Nothing will be done. The agent may propose it anew, and you will be asked again.',
      confirm: 'Ask for changes',
      style: 'button',
    },
  };

  function ask(verdict) {
    const dialog = one('#decide');
    const button = one(`[data-verdict="${verdict}"]`);
    if (!dialog || dialog.open || !button || button.disabled) return;
    const words = WORDS[verdict];
    const passkey = verdict === 'approve' && dialog.dataset.passkey;
    const form = one('form', dialog);
    form.elements.verdict.value = verdict;
    form.elements.assertion.value = '';
    form.elements.reason.required = verdict !== 'approve';
    one('[data-question]', dialog).textContent = words.question;
    one('[data-reason-label]', dialog).textContent = words.reason;
    one('[data-consequence]', dialog).textContent = words.consequence;
    const confirm = one('[data-confirm]', dialog);
    confirm.textContent = passkey ? 'Approve with your passkey' : words.confirm;
    confirm.className = words.style;
    confirm.disabled = false;
    problem(dialog, '');
    dialog.showModal();
    (verdict === 'approve' ? confirm : form.elements.reason).focus();
  }

  function problem(within, text) {
    const place = one('[data-problem]', within);
    place.textContent = text;
    place.hidden = text === '';
  }

  async function post(url, body, csrf) {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json', 'x-csrf-token': csrf },
      body: JSON.stringify(body),
    });
    const said = await answer.json().catch(() => ({}));
    if (answer.ok) return said;
    throw new Error([said.detail ?? `The gateway answers ${answer.status}.`, said.fix ?? ''].join(' ').trim());
  }

  async function assert(dialog, form) {
    const confirm = one('[data-confirm]', dialog);
    confirm.disabled = true;
    problem(dialog, '');
    try {
      const { shownDigest, policyDigest, verdict, _csrf } = Object.fromEntries(new FormData(form));
      const actionId = dialog.dataset.action;
      const optionsJSON = await post(dialog.dataset.passkey, { actionId, shownDigest, policyDigest, verdict }, _csrf);
      const response = await SimpleWebAuthnBrowser.startAuthentication({ optionsJSON });
      form.elements.assertion.value = JSON.stringify(response);
      form.submit();
    } catch (error) {
      problem(dialog, error instanceof Error ? error.message : String(error));
      confirm.disabled = false;
    }
  }

  document.addEventListener('submit', (event) => {
    const form = event.target;
    const dialog = form.closest('#decide');
    if (dialog && form.elements.verdict.value === 'approve' && dialog.dataset.passkey) {
      event.preventDefault();
      void assert(dialog, form);
      return;
    }
    // Once is enough. The button's own value must still be sent, so it is switched off after that.
    if (form.method === 'post') setTimeout(() => all('button', form).forEach((button) => (button.disabled = true)));
  });

  document.addEventListener('click', (event) => {
    const target = event.target.closest('button');
    if (!target) return;
    if (target.dataset.verdict) ask(target.dataset.verdict);
    if ('close' in target.dataset) target.closest('dialog').close();
    if ('enrol' in target.dataset) void enrol(target);
  });

  // Coming back by the back button must not leave a page whose buttons are dead.
  addEventListener('pageshow', (event) => event.persisted && location.reload());

  async function enrol(button) {
    const place = button.closest('[data-passkeys]');
    const { csrf } = place.dataset;
    button.disabled = true;
    problem(place, '');
    try {
      const optionsJSON = await post('/me/passkeys/options', {}, csrf);
      await post('/me/passkeys', await SimpleWebAuthnBrowser.startRegistration({ optionsJSON }), csrf);
      location.reload();
    } catch (error) {
      problem(place, error instanceof Error ? error.message : String(error));
      button.disabled = false;
    }
  }

  // Keys

  function move(by) {
    const rows = all('[data-row]');
    if (rows.length === 0) return;
    const at = rows.indexOf(document.activeElement);
    const next = at === -1 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by));
    rows[next].focus();
    rows[next].closest('li, tr')?.scrollIntoView({ block: 'nearest' });
  }

  /** From the list a decision leads to the page of the action: nothing is signed that was not shown. */
  const HASHES = { a: 'approve', d: 'deny', c: 'request_changes' };
  function decide(key) {
    if (one('#panel')) return ask(HASHES[key]);
    const row = document.activeElement?.closest?.('[data-row]');
    if (row?.closest('.ask:not(.trouble)')) location.assign(`${row.getAttribute('href')}#${HASHES[key]}`);
  }

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest?.('input, textarea, select, dialog[open], [contenteditable]')) return;
    const arrows = event.target.closest?.('[data-row]') || event.target === document.body;
    switch (event.key) {
      case 'j':
        move(1);
        break;
      case 'k':
        move(-1);
        break;
      case 'ArrowDown':
      case 'ArrowUp':
        if (!arrows || all('[data-row]').length === 0) return;
        move(event.key === 'ArrowDown' ? 1 : -1);
        break;
      case 'a':
      case 'd':
      case 'c':
        decide(event.key);
        break;
      case 'u':
        location.assign('/');
        break;
      case '/':
        if (one('[data-search]')) one('[data-search]').focus();
        else location.assign('/#search');
        break;
      case '?':
        one('#keys')?.showModal();
        break;
      default:
        return;
    }
    event.preventDefault();
  });

  // From the list a fragment says it; a link in a message says it where a login on the way keeps it.
  const wanted = new URLSearchParams(location.search).get('verdict') ?? location.hash.slice(1);
  if (Object.hasOwn(WORDS, wanted)) {
    history.replaceState(null, '', location.pathname);
    ask(wanted);
  }
  if (wanted === 'search') one('[data-search]')?.focus();
  root.dataset.ready = '';
})();
