/** The dialog before a decision. */
import { all, one, showProblem } from './dom.js';
import { enrolPasskey, signWithPasskey } from './passkeys.js';

const WORDS = {
  approve: {
    question: 'Approve this action?',
    reason: 'Reason (optional)',
    consequence: 'You sign exactly what this page shows. The action is done at once when nobody else is needed.',
    confirm: 'Approve',
    style: 'button go',
  },
  deny: {
    question: 'Deny this action?',
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

/** How long a page that somebody's link opened must be in front before it takes a yes or a no. Milliseconds. */
const SEEN_MS = 1000;

/**
 * Another page can open this one under a hand that is on its way, with a link that asks the question: then neither the key nor the click that
 * was meant for that page may answer it.
 */
function confirmOnceSeen(confirm) {
  let timer;
  const unseen = () => {
    clearTimeout(timer);
    confirm.disabled = true;
  };
  const seen = () => {
    unseen();
    timer = setTimeout(() => (confirm.disabled = false), SEEN_MS);
  };
  unseen();
  addEventListener('blur', unseen);
  addEventListener('focus', seen);
  if (document.hasFocus()) seen();
  return () => {
    clearTimeout(timer);
    removeEventListener('blur', unseen);
    removeEventListener('focus', seen);
  };
}

let forget = () => {};

export function openDecision(verdict, { byLink = false } = {}) {
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
  showProblem(dialog, '');
  dialog.showModal();
  forget();
  forget = byLink ? confirmOnceSeen(confirm) : () => {};
  (verdict === 'approve' && !byLink ? confirm : form.elements.reason).focus();
}

/** A link may ask for a decision: from the list by its fragment; from a message by its query, which survives a login on the way. */
export function openWanted() {
  const wanted = new URLSearchParams(location.search).get('verdict') ?? location.hash.slice(1);
  if (Object.hasOwn(WORDS, wanted)) {
    history.replaceState(null, '', location.pathname);
    openDecision(wanted, { byLink: true });
  }
  if (wanted === 'search') one('[data-search]')?.focus();
}

export function listenToForms() {
  document.addEventListener('submit', (event) => {
    const form = event.target;
    const dialog = form.closest('#decide');
    if (dialog?.dataset.passkey && form.elements.verdict.value === 'approve') {
      event.preventDefault();
      void signWithPasskey(dialog, form);
      return;
    }
    // What is sent is not to be sent again by a window that comes to the front.
    forget();
    // Once is enough. The button's own value must still be sent, so it is switched off after that.
    if (form.method === 'post') setTimeout(() => all('button', form).forEach((button) => (button.disabled = true)));
  });

  document.addEventListener('click', (event) => {
    const button = event.target.closest('button');
    if (!button) return;
    if (button.dataset.verdict) openDecision(button.dataset.verdict);
    if ('close' in button.dataset) button.closest('dialog').close();
    if ('enrol' in button.dataset) void enrolPasskey(button);
  });

  // Coming back by the back button must not leave a page whose buttons are dead.
  addEventListener('pageshow', (event) => event.persisted && location.reload());
}
