// Everything works without this file; it makes things nicer. No eval, no inline
// code, no markup out of strings (Trusted Types refuse it).
'use strict';

// The time zone, so that the server writes times as this clock shows them.
{
  const zone = String(-new Date().getTimezoneOffset());
  const secure = location.protocol === 'https:' ? '; Secure' : '';
  document.cookie = `sallyport_zone=${zone}; Path=/; Max-Age=34560000; SameSite=Lax${secure}`;
}

// Whether this device can make a passkey, so that one is offered after a sign-in.
window.PublicKeyCredential?.isUserVerifyingPlatformAuthenticatorAvailable?.().then(can => {
  const secure = location.protocol === 'https:' ? '; Secure' : '';
  document.cookie = `sallyport_passkeys=${can ? 1 : 0}; Path=/; Max-Age=34560000; SameSite=Lax${secure}`;
}, () => {});

// A pasted code: spaces, dashes, a whole message, full-width or Arabic digits.
// What is typed is left alone.
const digits = s => [...s.normalize('NFKC')].map(c => {
  const p = c.codePointAt(0);
  if (p >= 0x660 && p <= 0x669) return String(p - 0x660); // Arabic-Indic
  if (p >= 0x6F0 && p <= 0x6F9) return String(p - 0x6F0); // Persian
  return c;
}).join('');

// The first run of exactly n digits, which may be split by blanks and dashes. One
// that touches a letter is part of something else, such as a backup code.
const findCode = (s, n) => {
  const text = digits(s);
  for (const m of text.matchAll(/\d(?:[ \u00a0\u2009\u202f\-\u2010-\u2015]?\d)*/g)) {
    const code = m[0].replace(/\D/g, '');
    const around = text.charAt(m.index - 1) + text.charAt(m.index + m[0].length);
    if (code.length === n && !/[A-Za-z]/.test(around)) return code;
  }
  return '';
};

document.addEventListener('paste', e => {
  const el = e.target;
  if (!(el instanceof HTMLInputElement) || !el.dataset.code || !e.clipboardData) return;
  const code = findCode(e.clipboardData.getData('text'), Number(el.dataset.code));
  if (!code) return; // nothing recognised: let the browser paste it as it is
  e.preventDefault();
  el.value = code;
  el.dispatchEvent(new Event('input', { bubbles: true }));
});

// One submit only; the button says what is happening and keeps the focus.
document.addEventListener('submit', e => {
  const form = e.target;
  if (form.dataset.sent) { e.preventDefault(); return; }
  form.dataset.sent = '1';
  const button = e.submitter;
  if (button && button.dataset.busy) {
    button.dataset.text = button.textContent;
    button.setAttribute('aria-disabled', 'true');
    button.textContent = button.dataset.busy;
  }
  setTimeout(ready, 10000); // no answer came, or somebody pressed Stop
});

// Buttons work again; also on a page that Back brings as it was left.
function ready() {
  for (const form of document.forms) delete form.dataset.sent;
  for (const button of document.querySelectorAll('[data-text][aria-disabled]')) {
    button.removeAttribute('aria-disabled');
    button.textContent = button.dataset.text;
    delete button.dataset.text;
  }
}
addEventListener('pageshow', e => { if (e.persisted) ready(); });

const say = text => { document.getElementById('live').textContent = text; };

// Buttons that need this script.
for (const b of document.querySelectorAll('[data-copy], [data-show], [data-print]')) b.hidden = false;

document.addEventListener('click', async e => {
  const copy = e.target.closest('[data-copy]');
  if (copy) {
    const source = document.getElementById(copy.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.dataset.value || source.textContent);
      say(copy.dataset.copied);
      const label = [...copy.childNodes].find(n => n.nodeType === Node.TEXT_NODE && n.textContent.trim());
      if (label && !copy.dataset.was) {
        copy.dataset.was = label.textContent;
        label.textContent = copy.dataset.copied;
        setTimeout(() => { label.textContent = copy.dataset.was; delete copy.dataset.was; }, 2500);
      }
    } catch {
      // No permission, or no https: select it for Ctrl+C.
      getSelection().selectAllChildren(source);
      say(document.body.dataset.selected);
    }
    return;
  }
  if (e.target.closest('[data-print]')) { print(); return; }
  const show = e.target.closest('[data-show]');
  if (show) {
    const field = document.getElementById(show.dataset.show);
    const visible = field.type === 'password';
    field.type = visible ? 'text' : 'password';
    show.setAttribute('aria-pressed', String(visible));
    field.focus();
  }
});

// Sending again: the server says how many seconds are left. The text changes
// silently, and its end is announced once; the server counts by itself.
for (const b of document.querySelectorAll('[data-wait]')) {
  const text = b.textContent, end = performance.now() + 1000 * b.dataset.wait;
  const tick = () => {
    const left = Math.ceil((end - performance.now()) / 1000);
    if (left > 0) {
      b.textContent = b.dataset.waitText.replace('{n}', left);
      setTimeout(tick, Math.max(50, end - performance.now() - 1000 * (left - 1)));
      return;
    }
    b.removeAttribute('aria-disabled');
    b.textContent = text;
    say(text);
  };
  b.setAttribute('aria-disabled', 'true');
  tick();
  b.addEventListener('click', e => { if (b.getAttribute('aria-disabled')) e.preventDefault(); });
}

// A shown password is sent as a password: nothing keeps it as typed text.
document.addEventListener('submit', e => {
  for (const b of e.target.querySelectorAll('[data-show][aria-pressed=true]')) document.getElementById(b.dataset.show).type = 'password';
});

// The live length of a new password, counted in characters as the server does.
for (const field of document.querySelectorAll('[data-length]')) {
  const out = document.getElementById(field.dataset.length);
  const update = () => {
    const n = [...field.value.normalize('NFC')].length;
    const enough = n >= Number(out.dataset.min);
    out.hidden = n === 0;
    out.classList.toggle('ok', enough);
    out.textContent = (enough ? out.dataset.enough : out.dataset.text).replace('{n}', n);
  };
  field.addEventListener('input', update);
  update();
}

// How hard a new password is to guess. The server knows: it is asked at the address
// of the form, which is where the password goes anyway, once one stops typing and
// only for one that is long enough to be sent.
for (const box of document.querySelectorAll('[data-strength]')) {
  const field = document.getElementById(box.dataset.strength);
  const bar = box.querySelector('progress'), text = box.querySelector('p');
  let soon, asked;
  const show = answer => {
    bar.hidden = !answer;
    bar.value = answer ? answer.value : 0;
    if (text.textContent !== (answer ? answer.text : '')) text.textContent = answer ? answer.text : '';
  };
  const ask = async () => {
    asked = new AbortController();
    const body = new URLSearchParams({ strength: '1', [field.name]: field.value });
    for (const hidden of field.form.querySelectorAll('input[type=hidden]')) body.set(hidden.name, hidden.value);
    try {
      const answer = await fetch(field.form.action, { method: 'POST', body, headers: { Accept: 'application/json' }, redirect: 'manual', signal: asked.signal });
      show(answer.ok ? await answer.json() : null);
    } catch (e) {
      if (e.name !== 'AbortError') show(null);
    }
  };
  field.addEventListener('input', () => {
    clearTimeout(soon);
    asked?.abort();
    if ([...field.value.normalize('NFC')].length < field.minLength) show(null);
    else soon = setTimeout(ask, 400);
  });
}

// The menu closes on Escape, on a click elsewhere, and when the focus leaves it:
// it would cover what has the focus next.
const menu = document.getElementById('menu');
if (menu) {
  document.addEventListener('click', e => { if (!menu.contains(e.target)) menu.open = false; });
  menu.addEventListener('focusout', e => { if (e.relatedTarget && !menu.contains(e.relatedTarget)) menu.open = false; });
  document.addEventListener('keydown', e => {
    if (e.key === 'Escape' && menu.open) { menu.open = false; menu.querySelector('summary').focus(); }
  });
}

// On a narrow screen the sections stand in one line that scrolls: to where one is.
const here = document.querySelector('.sections [aria-current]');
if (here) {
  const line = here.closest('ul');
  line.scrollLeft += here.getBoundingClientRect().left - line.getBoundingClientRect().left;
}

// The wait before another code can be sent. The server counts; this only shows
// it, silently, and says once when it is over (ux rules 19–21).
for (const b of document.querySelectorAll('[data-countdown]')) {
  const ready = b.textContent, end = Date.now() + Number(b.dataset.countdown) * 1000;
  const tick = () => {
    const left = Math.ceil((end - Date.now()) / 1000);
    if (left > 0) { b.textContent = b.dataset.textWait.replace('{n}', left); return; }
    clearInterval(timer);
    b.removeAttribute('aria-disabled');
    delete b.dataset.countdown;
    b.textContent = ready;
    say(ready);
  };
  const timer = setInterval(tick, 1000);
  b.setAttribute('aria-disabled', 'true');
  b.addEventListener('click', e => { if (b.hasAttribute('aria-disabled') && 'countdown' in b.dataset) e.preventDefault(); });
  tick();
}

// A page that waits for an answer given elsewhere looks whether it has come, and
// is opened anew then. What came is used by the page's own form: once for each
// answer that this window waited for, so that nothing goes round and round.
const waits = document.querySelector('[data-await]');
if (waits) {
  const mark = `data-await="${waits.dataset.await}"`, pause = 1000 * waits.dataset.every;
  const look = async () => {
    try {
      const page = await fetch(waits.dataset.here, { headers: { Accept: 'text/html' }, redirect: 'manual' });
      if (page.type === 'opaqueredirect' || page.status < 429 && !(await page.text()).includes(mark)) {
        sessionStorage.setItem('answered', '1');
        location.replace(waits.dataset.here);
        return;
      }
    } catch { /* no connection: later */ }
    setTimeout(look, pause);
  };
  setTimeout(look, pause);
}
try {
  const form = document.querySelector('form[data-answered]');
  if (form && sessionStorage.getItem('answered')) form.requestSubmit(form.querySelector('button'));
  if (!waits) sessionStorage.removeItem('answered');
} catch { /* nothing is kept where cookies are off: the person presses the button */ }

// The search of the reference filters while one types; what it looks at and how
// is the same as on the server.
for (const field of document.querySelectorAll('[data-filter]')) {
  const list = document.getElementById(field.dataset.filter);
  const found = document.getElementById('docs-found');
  const rest = {nothing: document.getElementById('docs-nothing'), all: document.getElementById('docs-all'), manners: document.getElementById('docs-manners')};
  let soon;
  field.addEventListener('input', () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    for (const group of list.querySelectorAll('section:has([data-search])')) {
      let some = false;
      for (const row of group.querySelectorAll('[data-search]')) {
        row.hidden = !words.every(w => row.dataset.search.includes(w));
        if (!row.hidden) { n++; some = true; }
      }
      group.hidden = !some;
    }
    found.textContent = found.dataset.text.replace('{n}', n);
    found.hidden = rest.all.hidden = words.length === 0;
    rest.manners.hidden = words.length > 0;
    rest.nothing.hidden = n > 0;
    clearTimeout(soon);
    soon = setTimeout(() => say(n > 0 ? found.textContent : rest.nothing.textContent.trim()), 700);
  });
}

// A colour is typed; where the browser can, it is picked as well.
for (const pick of document.querySelectorAll('input[type=color][data-for]')) {
  const text = document.getElementById(pick.dataset.for);
  const read = () => { if (/^#[0-9a-f]{6}$/i.test(text.value.trim())) pick.value = text.value.trim().toLowerCase(); };
  read();
  pick.hidden = false;
  pick.addEventListener('input', () => { text.value = pick.value; });
  text.addEventListener('input', read);
}

// A long event log is checked in parts: the next one begins by itself.
document.querySelector('form[data-go-on]')?.requestSubmit();
