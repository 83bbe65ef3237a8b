/** Enrols and uses passkeys, by the script of SimpleWebAuthn that pages with passkeys load first. */
import { one, showProblem } from './dom.js';

async function post(url, body, csrf) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', 'x-csrf-token': csrf },
    body: JSON.stringify(body),
  });
  const reply = await answer.json().catch(() => ({}));
  if (answer.ok) return reply;
  throw new Error([reply.detail ?? `The gateway answers ${answer.status}.`, reply.fix ?? ''].join(' ').trim());
}

/** Runs a ceremony with its button switched off; a failure is shown, and the button works again. */
async function ceremony(button, within, work) {
  button.disabled = true;
  showProblem(within, '');
  try {
    await work();
  } catch (error) {
    showProblem(within, error instanceof Error ? error.message : String(error));
    button.disabled = false;
  }
}

/** Has the passkey sign what the dialog's form holds, and sends the form. */
export function signWithPasskey(dialog, form) {
  return ceremony(one('[data-confirm]', dialog), dialog, async () => {
    const { shownDigest, policyDigest, verdict, _csrf } = Object.fromEntries(new FormData(form));
    const actionId = dialog.dataset.action;
    const optionsJSON = await post(dialog.dataset.passkey, { actionId, shownDigest, policyDigest, verdict }, _csrf);
    const response = await SimpleWebAuthnBrowser.startAuthentication({ optionsJSON });
    form.elements.assertion.value = JSON.stringify(response);
    form.submit();
  });
}

export function enrolPasskey(button) {
  const place = button.closest('[data-passkeys]');
  const { csrf } = place.dataset;
  return ceremony(button, place, async () => {
    const optionsJSON = await post('/me/passkeys/options', {}, csrf);
    await post('/me/passkeys', await SimpleWebAuthnBrowser.startRegistration({ optionsJSON }), csrf);
    location.reload();
  });
}
