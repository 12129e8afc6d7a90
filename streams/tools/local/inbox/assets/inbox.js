"use strict";
// Without this script the page works too: it then shows new emails after a reload.

const box = document.getElementById("live");
box.parentElement.hidden = false;
box.checked = sessionStorage.getItem("live") !== "off";

let isLoading = false;
let isStale = false;

async function refresh() {
  if (!box.checked || document.hidden) { isStale = true; return; }
  if (isLoading) { isStale = true; return; }
  isLoading = true;
  isStale = false;
  try {
    const response = await fetch(location.href);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const id of ["rows", "counts"]) {
      const part = page.getElementById(id);
      const old = document.getElementById(id);
      const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      old.replaceChildren(...part.childNodes);
      if (focused) old.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus({preventScroll: true});
    }
  } catch {
    document.getElementById("counts").textContent = "The inbox has stopped.";
  }
  // At most one refresh a second, however many emails arrive.
  setTimeout(() => { isLoading = false; if (isStale) refresh(); }, 1000);
}

const events = new EventSource("/events");
events.onmessage = (event) => {
  if (event.data !== document.querySelector("[data-accepted]")?.dataset.accepted) refresh();
};
// A browser keeps pages for its button "back", with their open connections, and allows six to a server. So the stream ends with the page.
addEventListener("pagehide", () => events.close());
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
box.addEventListener("change", () => {
  sessionStorage.setItem("live", box.checked ? "on" : "off");
  if (box.checked && isStale) refresh();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden && isStale) refresh(); });

for (const field of document.querySelectorAll(".filters select")) field.addEventListener("change", () => field.form.requestSubmit());
const current = document.querySelector(".list [aria-current]");
if (current) current.scrollIntoView({block: "nearest"});
