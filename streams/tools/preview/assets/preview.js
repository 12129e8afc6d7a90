"use strict";
// Without this script the page works too: it then shows changes after a reload, frames have a fixed height, and nothing filters the list.

const live = document.getElementById("live");

// A change of a file: load the page again, at the same place.
const events = new EventSource(`/events?version=${encodeURIComponent(document.body.dataset.version)}`);
events.onmessage = () => location.reload();
events.onopen = () => document.body.classList.remove("is-lost");
events.onerror = () => {
  document.body.classList.add("is-lost");
  live.textContent = "takk preview has stopped";
};

// A browser keeps pages for its button "back", with their open connections, and allows six to a server. So the stream ends with the page.
addEventListener("pagehide", () => events.close());
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

// A frame is as high as its email. Frames run no scripts, so their documents can be read.
for (const frame of document.querySelectorAll(".mail iframe")) {
  const fit = () => {
    const page = frame.contentDocument;
    if (page && page.body) frame.style.height = `${Math.max(page.body.scrollHeight, page.documentElement.offsetHeight)}px`;
  };
  frame.addEventListener("load", fit);
  fit();
}

// A flow starts in the middle of its picture.
for (const picture of document.querySelectorAll(".drawn img")) {
  const center = () => { picture.parentElement.scrollLeft = (picture.width - picture.parentElement.clientWidth) / 2; };
  picture.addEventListener("load", center);
  center();
}

// On a phone the list of messages starts closed.
const side = document.getElementById("side");
if (matchMedia("(max-width: 860px)").matches) side.open = false;
const current = side.querySelector("[aria-current]");
if (current && side.open) side.scrollTop = Math.max(0, current.offsetTop - innerHeight / 2);

const find = document.getElementById("find");
find.parentElement.hidden = false;
find.addEventListener("input", () => {
  const word = find.value.trim().toLowerCase();
  for (const flow of side.querySelectorAll("[data-name]")) flow.hidden = !flow.dataset.name.toLowerCase().includes(word);
  for (const group of side.querySelectorAll("section")) group.hidden = !group.querySelector("[data-name]:not([hidden])");
});

// What was typed stays after a reload.
for (const field of document.querySelectorAll("[data-keep]")) {
  const key = `keep.${field.name}`;
  field.value = sessionStorage.getItem(key) || field.value;
  field.addEventListener("input", () => sessionStorage.setItem(key, field.value));
}
