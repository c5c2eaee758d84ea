// Says when there is something new. It never draws the page anew by itself:
// somebody may be reading, or about to press a button. But who comes back to the
// tab sees what has come meanwhile.
(() => {
  "use strict";
  const page = document.querySelector("[data-newest]");
  const note = document.getElementById("news");
  const look = async () => {
    const answer = await fetch(page.dataset.json, { cache: "no-store" });
    if (!answer.ok) return false;
    const { items } = await answer.json();
    return items.length > 0 && items[items.length - 1].id !== page.dataset.newest;
  };
  let busy = false;
  const check = async (then) => {
    if (busy || document.hidden) return;
    busy = true;
    if (await look().catch(() => false)) then();
    busy = false;
  };
  setInterval(() => check(() => { note.textContent = page.dataset.news; }), 2000);
  document.addEventListener("visibilitychange", () => check(() => location.replace(location.pathname + location.search)));
})();
