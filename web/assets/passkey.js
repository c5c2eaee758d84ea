// Passkeys. A form of them says in its data what is asked of the device and where the
// question is; the answer is sent with the form. What the browser cannot do is said in
// the form's own words, and whatever the server has to say, it says by its pages.
'use strict';
{
  const keys = window.PublicKeyCredential;

  const bytes = s => Uint8Array.from(atob(s.replace(/-/g, '+').replace(/_/g, '/')), c => c.charCodeAt(0));
  const text = b => b ? btoa(String.fromCharCode(...new Uint8Array(b))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '') : undefined;
  const named = list => list?.map(c => ({ ...c, id: bytes(c.id) }));

  // Both directions as the browser does it; older ones do not.
  const read = (o, make) => {
    const parse = make ? 'parseCreationOptionsFromJSON' : 'parseRequestOptionsFromJSON';
    if (keys[parse]) return keys[parse](o);
    const out = { ...o, challenge: bytes(o.challenge) };
    if (make) return { ...out, user: { ...o.user, id: bytes(o.user.id) }, excludeCredentials: named(o.excludeCredentials) ?? [] };
    return { ...out, allowCredentials: named(o.allowCredentials) ?? [] };
  };
  const write = c => {
    try { return JSON.stringify(c.toJSON()); } catch { /* there is none, or one that somebody replaced */ }
    const r = c.response;
    return JSON.stringify({
      id: c.id, rawId: text(c.rawId), type: c.type, authenticatorAttachment: c.authenticatorAttachment ?? undefined, clientExtensionResults: c.getClientExtensionResults(),
      response: {
        clientDataJSON: text(r.clientDataJSON), attestationObject: text(r.attestationObject), transports: r.getTransports?.(),
        authenticatorData: text(r.authenticatorData), signature: text(r.signature), userHandle: text(r.userHandle),
      },
    });
  };

  // ask gets a question and has it answered. The person may turn away, which is no fault.
  const ask = async (form, options) => {
    const body = new URLSearchParams();
    for (const field of form.querySelectorAll('input[type=hidden]')) if (field.name !== 'credential') body.set(field.name, field.value);
    const answer = await fetch(form.dataset.options, { method: 'POST', body, headers: { Accept: 'application/json' }, redirect: 'manual', signal: options.signal });
    if (!answer.ok) throw new DOMException('', answer.status >= ('autofill' in form.dataset ? 429 : 500) ? 'NetworkError' : 'ServerSays');
    const make = form.dataset.passkey === 'create';
    const question = await answer.json();
    if (!question) throw new DOMException('', 'ServerSays');
    const publicKey = read(question, make);
    return write(await navigator.credentials[form.dataset.passkey]({ publicKey, ...options }));
  };
  const send = (form, credential) => {
    form.elements.credential.value = credential;
    form.submit();
  };

  const words = (form, name) => form.dataset[{
    NotAllowedError: 'cancelled', AbortError: 'cancelled', InvalidStateError: form.dataset.passkey === 'create' ? 'there' : 'failed',
    NotSupportedError: 'unsupported', ConstraintError: 'unsupported', SecurityError: 'unsafe',
  }[name] ?? 'failed'];
  const says = (form, what) => {
    const note = form.querySelector('[data-says]');
    note.querySelector('span').textContent = what;
    note.hidden = !what;
  };

  // Passkeys among what the name field offers. The question lives for a few minutes; a
  // page that nobody looks at does not ask again.
  const renew = 4 * 60 * 1000;
  let offer;
  const offers = async form => {
    try {
      if (offer || !await keys.isConditionalMediationAvailable?.()) return;
      const stop = new AbortController();
      const old = setTimeout(() => { withdraw().then(() => document.hasFocus() ? offers(form) : addEventListener('focus', () => offers(form), { once: true })); }, renew);
      offer = { stop, done: ask(form, { mediation: 'conditional', signal: stop.signal }).then(c => send(form, c)).catch(() => {}).finally(() => clearTimeout(old)) };
    } catch { /* the button is there */ }
  };
  const withdraw = async () => {
    offer?.stop.abort();
    await offer?.done;
    offer = undefined;
  };

  const press = async form => {
    const button = form.querySelector('button'), label = button.querySelector('span'), was = label.textContent;
    if (button.hasAttribute('aria-disabled')) return;
    says(form, '');
    document.getElementById('problem')?.remove();
    button.setAttribute('aria-disabled', 'true');
    label.textContent = button.dataset.busy;
    try {
      await withdraw();
      send(form, await ask(form, {}));
      return;
    } catch (e) {
      if (e.name === 'ServerSays') {
        send(form, '');
        return;
      }
      says(form, words(form, e.name));
    }
    button.removeAttribute('aria-disabled');
    label.textContent = was;
    if ('autofill' in form.dataset) offers(form);
  };

  for (const form of document.querySelectorAll('form[data-passkey]')) {
    const button = form.querySelector('button');
    if (!keys || !navigator.credentials) {
      if (!form.hidden) says(form, form.dataset.unsupported);
      continue;
    }
    form.hidden = button.hidden = false;
    form.addEventListener('submit', e => {
      e.preventDefault();
      e.stopPropagation();
      press(form);
    });
    if ('focus' in form.dataset) button.focus();
    if ('autofill' in form.dataset) offers(form);
    addEventListener('pageshow', e => { if (e.persisted) location.reload(); });
  }

  // What the browser cannot do is not among the ways, where there is another.
  if (!keys) for (const row of document.querySelectorAll('[data-needs-passkeys]')) row.hidden = row.parentElement.children.length > 1;

  // The person's own list of passkeys, where browsers keep one, is set right.
  const tell = async (signal, what) => {
    try { await keys?.[signal]?.(what); } catch { /* it is of help, and nothing depends on it */ }
  };
  for (const list of document.querySelectorAll('[data-passkeys]')) {
    const { host, user, passkeys } = list.dataset;
    tell('signalAllAcceptedCredentials', { rpId: host, userId: user, allAcceptedCredentialIds: passkeys.split(' ').filter(Boolean) });
  }
  for (const one of document.querySelectorAll('[data-unknown-passkey]')) {
    tell('signalUnknownCredential', { rpId: one.dataset.host, credentialId: one.dataset.unknownPasskey });
  }
}
