// What is wrong with the page as it is drawn now, one line each. Contrast, borders
// and targets are WCAG 2.2 AA (1.4.3, 1.4.11, 2.5.8), sideways scroll is 1.4.10;
// the rest are the rules of the project's pages. It changes nothing but what it
// restores.
(() => {
  const out = [];
  const say = (rule, text) => { const line = rule + ': ' + text; if (!out.includes(line)) out.push(line); };
  const own = e => (e.getAttribute('aria-label') || e.textContent).replace(/\s+/g, ' ').trim();
  const words = e => {
    const named = (e.getAttribute('aria-labelledby') || '').split(/\s+/).map(id => document.getElementById(id)).filter(Boolean);
    return named.length ? named.map(own).join(' ') : own(e);
  };
  const brief = e => e.tagName.toLowerCase() + (e.id ? '#' + e.id : '') + ' "' + words(e).slice(0, 40) + '"';
  const shown = e => e.checkVisibility({visibilityProperty: true}) && e.getClientRects().length > 0;
  // For screen readers only: a box of one pixel.
  const hidden = e => { for (; e; e = e.parentElement) if (getComputedStyle(e).clipPath === 'inset(50%)') return true; return false; };

  // Colours, as numbers.
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  const known = new Map();
  const colour = c => {
    if (!known.has(c)) {
      pen.clearRect(0, 0, 1, 1);
      pen.fillStyle = c;
      pen.fillRect(0, 0, 1, 1);
      const d = pen.getImageData(0, 0, 1, 1).data;
      known.set(c, [d[0], d[1], d[2], d[3] / 255]);
    }
    return known.get(c);
  };
  const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const canvasColour = colour('Canvas');
  // Grounds that may be behind an element: one, or one for each stripe.
  const grounds = e => {
    const layers = [];
    for (; e; e = e.parentElement) {
      const s = getComputedStyle(e);
      const plain = colour(s.backgroundColor);
      layers.push([plain, ...(s.backgroundImage.match(/(rgba?|color|oklch|oklab)\([^)]*\)/g) || []).map(c => over(colour(c), plain[3] ? plain : [0, 0, 0, 0]))]);
      if (plain[3] === 1) break;
    }
    let found = [canvasColour];
    for (const layer of layers.reverse()) found = layer.flatMap(c => found.map(under => over(c, under)));
    return found;
  };
  const light = c => {
    const f = [0, 1, 2].map(i => { const v = c[i] / 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * f[0] + .7152 * f[1] + .0722 * f[2];
  };
  const ratio = (a, b) => { const x = light(a), y = light(b); return (Math.max(x, y) + .05) / (Math.min(x, y) + .05); };

  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; n = walk.nextNode();) {
    const text = n.textContent.trim(), e = n.parentElement;
    if (!text || !shown(e) || ['SCRIPT', 'STYLE', 'TITLE', 'DESC', 'OPTION'].includes(e.tagName) || hidden(e)) continue;
    const s = getComputedStyle(e);
    let opacity = 1;
    for (let p = e; p; p = p.parentElement) opacity *= +getComputedStyle(p).opacity;
    for (const ground of grounds(e)) {
      const c = colour(e.closest('svg') ? s.fill : s.color);
      const r = ratio(over([c[0], c[1], c[2], c[3] * opacity], ground), ground);
      if (r < 4.5) say('contrast', r.toFixed(2) + ' ' + text.slice(0, 44) + ' ' + s.fontSize);
    }
  }

  // Targets. A link within a sentence may be as high as its line.
  const inline = e => e.tagName === 'A' && getComputedStyle(e).display === 'inline'
    && [...e.parentElement.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  for (const e of document.querySelectorAll('input, select, textarea, button, a[href], summary')) {
    if (!shown(e) || hidden(e) || e.classList.contains('skip') || inline(e)) continue;
    const r = e.getBoundingClientRect();
    if (r.width < 24 || r.height < 24) say('target', brief(e) + ' ' + Math.round(r.width) + 'x' + Math.round(r.height));
  }
  for (const e of document.querySelectorAll('input:not([type=hidden]), select, textarea')) {
    if (!shown(e) || hidden(e)) continue;
    const s = getComputedStyle(e);
    if (!['checkbox', 'radio'].includes(e.type)) {
      const r = Math.min(...grounds(e.parentElement).map(g => ratio(over(colour(s.borderTopColor), g), g)));
      if (r < 3) say('border', r.toFixed(2) + ' ' + brief(e));
      if (parseFloat(s.fontSize) < 16) say('ux-58', 'the text in ' + brief(e) + ' is ' + s.fontSize);
    }
    const named = e.labels.length > 0 && [...e.labels].some(l => l.textContent.trim()) || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby');
    if (!named && e.getAttribute('aria-hidden') !== 'true') say('label', 'none for ' + brief(e));
    if (e.getAttribute('aria-invalid') === 'true') {
      const texts = (e.getAttribute('aria-describedby') || '').split(' ').map(id => document.getElementById(id)).filter(x => x && shown(x) && (x.matches('.err') || x.matches('[role=alert]')));
      if (!texts.length) say('ux-28', 'no message is tied to ' + brief(e));
    }
  }

  // Nothing is to be scrolled sideways, cut off, or out of reach.
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) say('sideways', root.scrollWidth + ' of ' + root.clientWidth);
  for (const e of document.querySelectorAll('body *')) {
    if (!shown(e) || hidden(e) || e.closest('.side, .tbl, .skip, .menu-name, svg')) continue;
    const r = e.getBoundingClientRect();
    if (r.right > root.clientWidth + 1 || r.left < -1) say('sideways', brief(e) + ' ' + Math.round(r.left) + '…' + Math.round(r.right));
    const s = getComputedStyle(e);
    const cut = s.overflowX !== 'visible' && s.overflowX !== 'auto' || ['BUTTON', 'SUMMARY'].includes(e.tagName);
    if (cut && e.tagName !== 'INPUT' && !e.matches('.menu summary') && e.scrollWidth > e.clientWidth + 1) say('cut off', brief(e) + ' ' + e.scrollWidth + ' of ' + e.clientWidth);
  }

  // Whose the password is, or what the secret is for, comes before it.
  for (const f of document.forms) {
    const fields = [...f.elements].filter(e => ['text', 'email', 'tel', 'password'].includes(e.type));
    const first = fields.findIndex(e => ['current-password', 'new-password'].includes(e.autocomplete));
    if (first >= 0 && fields[0].type === 'password') say('autocomplete', 'no name before ' + brief(fields[first]));
  }

  // The document.
  if (document.querySelectorAll('h1').length !== 1) say('h1', document.querySelectorAll('h1').length);
  if (document.querySelectorAll('main').length !== 1) say('main', document.querySelectorAll('main').length);
  if (!root.lang) say('lang', 'not set');
  if (!['ltr', 'rtl'].includes(root.dir)) say('dir', root.dir);
  const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) say('twice', '#' + id);
  for (const a of ['aria-describedby', 'aria-labelledby', 'aria-controls', 'for']) {
    for (const e of document.querySelectorAll('[' + a + ']')) {
      for (const id of e.getAttribute(a).split(/\s+/)) if (!ids.includes(id)) say(a, brief(e) + ' names #' + id + ', which is not there');
    }
  }
  for (const e of document.querySelectorAll('img, svg')) {
    const named = document.getElementById((e.getAttribute('aria-labelledby') || '').split(' ')[0]);
    const label = (e.getAttribute('aria-label') || e.getAttribute('alt') || named?.textContent || '').trim();
    if (!e.closest('[aria-hidden=true]') && !(label && (e.tagName === 'IMG' || e.getAttribute('role') === 'img'))) say('picture', 'neither named nor hidden: ' + e.outerHTML.slice(0, 60));
  }
  for (const e of document.querySelectorAll('[style], [onclick], [onload], [onsubmit]')) if (e !== root) say('inline', brief(e));
  for (const e of document.querySelectorAll('[tabindex]')) if (e.tabIndex > 0) say('tabindex', brief(e));
  let level = 0;
  for (const h of document.querySelectorAll('h1, h2, h3, h4')) {
    const n = +h.tagName[1];
    if (n > level + 1) say('heading', brief(h) + ' comes after h' + level);
    level = n;
  }
  for (const e of document.querySelectorAll('ul > *, ol > *')) if (e.tagName !== 'LI') say('ux-34', brief(e) + ' in a list');
  for (const e of document.querySelectorAll('table')) if (!e.querySelector('th')) say('ux-34', 'a table without headers');

  // Equal names lead to the same place (ux rule 33).
  const goals = new Map();
  for (const e of document.querySelectorAll('a[href], button, summary')) {
    if (!shown(e)) continue;
    const name = words(e);
    if (!name) { say('name', 'none: ' + e.outerHTML.slice(0, 80)); continue; }
    const goal = e.href || (e.dataset.show || e.dataset.copy ? 'in page ' + (e.dataset.show || e.dataset.copy) : e.form ? (e.formAction || '') + '|' + e.name + '=' + e.value : 'in page');
    if (!goals.has(name)) goals.set(name, goal);
    else if (goals.get(name) !== goal) say('ux-33', 'two things named "' + name + '": ' + goals.get(name) + ' and ' + goal);
  }

  // The title says so if something is wrong (ux rule 28).
  const wrong = [...document.querySelectorAll('.err, [aria-invalid=true], [role=alert]')].some(shown);
  return {findings: out, wrong, title: document.title, h1: words(document.querySelector('h1') || document.body)};
})()
