"use strict";
// Steps through a story. Without this script, the links of the list choose a point, and the style shows it (:target).
(() => {
  const days = document.getElementById("days");
  const links = [...days.querySelectorAll("a[data-number]")];
  const step = document.getElementById("step");
  const now = document.getElementById("now");
  const entries = document.getElementById("entries");
  if (!links.length) return;
  document.body.classList.add("is-stepping");
  document.getElementById("stepper").hidden = false;

  // A frame is as high as its email. Frames run no scripts, so their documents can be read.
  const fit = (frame) => {
    const page = frame.contentDocument;
    if (page && page.body && frame.offsetWidth) frame.style.height = `${Math.max(page.body.scrollHeight, page.documentElement.offsetHeight)}px`;
  };
  for (const frame of entries.querySelectorAll("iframe")) frame.addEventListener("load", () => fit(frame));

  const at = (number) => links.findIndex((link) => link.dataset.number === String(number));
  let current = -1;
  let isChosen = false;
  const choose = (index) => {
    index = Math.min(Math.max(index, 0), links.length - 1);
    if (index === current) return;
    current = index;
    const link = links[index];
    const number = link.dataset.number;
    for (const other of links) other.toggleAttribute("aria-current", false);
    link.setAttribute("aria-current", "true");
    for (const entry of entries.children) entry.classList.toggle("is-shown", entry.id === `e${number}`);
    for (const mark of document.querySelectorAll(".timeline .point")) {
      const isNow = mark.dataset.number === number;
      mark.classList.toggle("is-now", isNow);
      if (isNow) mark.closest("svg.line").append(mark.closest(".mark-of")); // the last one is drawn above the others
    }
    const frame = entries.querySelector(".is-shown iframe");
    if (frame) fit(frame);
    step.value = index + 1;
    const words = link.lastElementChild.textContent.replace(/\s+/g, " ").trim();
    step.setAttribute("aria-valuetext", `${link.dataset.when}: ${words}`);
    now.textContent = link.dataset.when;
    // No element has this name, so that a reload does not scroll to it.
    if (isChosen) history.replaceState(null, "", `#at${number}`);
    // The list scrolls by itself, and the page stays where it is.
    const box = days.getBoundingClientRect();
    const place = link.getBoundingClientRect();
    if (place.top < box.top + 40 || place.bottom > box.bottom - 20) days.scrollTop += place.top - box.top - box.height / 3;
  };

  step.addEventListener("input", () => choose(step.value - 1));
  document.getElementById("earlier").addEventListener("click", () => choose(current - 1));
  document.getElementById("later").addEventListener("click", () => choose(current + 1));
  document.addEventListener("click", (event) => {
    const chosen = event.target.closest("a[href^='#e'], .mark-of");
    if (!chosen) return;
    event.preventDefault();
    choose(at(chosen.dataset.number || chosen.getAttribute("href").slice(2)));
    // On a phone the list is below the email.
    if (entries.getBoundingClientRect().top < 0) document.getElementById("stepper").scrollIntoView();
  });
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest("input, textarea, select")) return;
    if (event.key === "ArrowLeft") choose(current - 1);
    else if (event.key === "ArrowRight") choose(current + 1);
  });
  const asked = location.hash.match(/^#(?:e|at)(\d+)$/);
  const first = entries.querySelector(".is-first");
  choose(Math.max(0, at(asked ? asked[1] : first ? first.id.slice(1) : links[0].dataset.number)));
  isChosen = true;
})();
