// Keeps the practice app's codes running. Without it the page works by its
// Refresh link. Text is only ever set as text.
(() => {
  "use strict";
  const all = document.getElementById("practice");
  const one = document.getElementById("pasted");
  const form = document.getElementById("pasted-form");

  // The end of a code, in milliseconds of a clock that nobody sets.
  const endOf = (el) => performance.now() + 1000 * Number(el.dataset.seconds);
  let allEnd = endOf(all);
  let oneEnd = one ? endOf(one) : Infinity;

  const show = (el, end, outside) => {
    const seconds = String(Math.max(0, Math.ceil((end - performance.now()) / 1000)));
    for (const s of el.querySelectorAll("[data-left]")) {
      if ((!outside || !outside.contains(s)) && s.textContent !== seconds) s.textContent = seconds;
    }
  };

  const fetchAll = async () => {
    const answer = await fetch("/demo/codes.json", { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    const { items, seconds } = await answer.json();
    const codes = new Map(items.map((i) => [i.login, i.code]));
    for (const out of all.querySelectorAll("[data-login]")) {
      const code = codes.get(out.dataset.login);
      if (code) out.textContent = code;
    }
    return performance.now() + 1000 * seconds;
  };

  const fetchOne = async () => {
    const answer = await fetch("/demo/code.json", { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (!answer.ok) throw new Error(answer.statusText);
    const { code, seconds } = await answer.json();
    document.getElementById("pasted-code").textContent = code;
    return performance.now() + 1000 * seconds;
  };

  // A stopped demo answers nothing; one try in five seconds is enough.
  const retry = () => performance.now() + 5000;
  let busy = false;
  setInterval(async () => {
    show(all, allEnd, one);
    if (one) show(one, oneEnd);
    if (busy || document.hidden) return;
    busy = true;
    if (performance.now() >= allEnd) allEnd = await fetchAll().catch(retry);
    if (performance.now() >= oneEnd) oneEnd = await fetchOne().catch(retry);
    busy = false;
  }, 250);
})();
