// Keeps the page up to date, and lets values be read off the charts. The page
// works without it.
"use strict";

const body = document.body;
const live = document.getElementById("live");

function say(text, state) {
  live.textContent = text;
  live.dataset.state = state;
}

// What is selected in a chart: the number of a report, "last", or nothing.
const selected = new Map();

// adopt takes the values from where a browser without scripts shows them, so that
// they are not shown twice.
function adopt(figure) {
  for (const hit of figure.querySelectorAll(".hit")) {
    hit.dataset.says = hit.textContent;
    hit.replaceChildren();
  }
}

function show(figure) {
  const out = figure.querySelector("output");
  for (const hit of figure.querySelectorAll(".hit.on")) hit.classList.remove("on");
  const n = selected.get(figure);
  const hits = figure.querySelectorAll(".hit");
  let hit = null;
  // Columns of several reports are numbered by their last one.
  if (n !== undefined) for (const h of hits) if (hit === null || Number(hit.dataset.n) < n) hit = h;
  if (hit === null) {
    out.textContent = "";
    return;
  }
  hit.classList.add("on");
  out.textContent = hit.dataset.says;
}

function move(figure, by) {
  const hits = [...figure.querySelectorAll(".hit")];
  if (hits.length === 0) return;
  let i = hits.findIndex((h) => h.classList.contains("on"));
  i = i < 0 ? hits.length - 1 : Math.min(hits.length - 1, Math.max(0, i + by));
  selected.set(figure, Number(hits[i].dataset.n));
  show(figure);
}

async function raw(section, url) {
  const pre = section.querySelector("pre");
  const answer = await fetch(url);
  const text = await answer.text();
  try {
    pre.textContent = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    pre.textContent = text;
  }
  section.querySelector("details.raw").open = true;
  pre.hidden = false;
  pre.focus({ preventScroll: true });
  pre.scrollIntoView({ block: "nearest" });
}

for (const figure of document.querySelectorAll("figure")) {
  adopt(figure);
  const section = figure.closest("section");
  const open = () => {
    const hit = figure.querySelector(".hit.on");
    const process = section.querySelector("h2").id.slice(1);
    if (hit) raw(section, `/report?process=${process}&n=${hit.dataset.n}`);
  };
  figure.addEventListener("pointermove", (e) => {
    const hit = e.target.closest(".hit");
    if (!hit) return;
    selected.set(figure, Number(hit.dataset.n));
    show(figure);
  });
  const leave = () => {
    selected.delete(figure);
    show(figure);
  };
  figure.addEventListener("pointerleave", leave);
  figure.addEventListener("blur", leave);
  figure.addEventListener("click", (e) => e.target.closest(".hit") && open());
  figure.addEventListener("keydown", (e) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[e.key];
    if (by !== undefined) move(figure, by);
    else if (e.key === "Enter") open();
    else if (e.key === "Escape") leave();
    else return;
    e.preventDefault();
  });
}

document.addEventListener("click", (e) => {
  const link = e.target.closest("a.json");
  const section = link && link.closest("section");
  if (!section || !section.querySelector("pre") || e.ctrlKey || e.metaKey || e.shiftKey) return;
  e.preventDefault();
  raw(section, link.href);
});

const form = document.getElementById("faults");
if (form) {
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    const data = new URLSearchParams(new FormData(form));
    data.set("fault", e.submitter.value);
    const answer = await fetch(form.action, { method: "POST", body: data, redirect: "manual" });
    if (answer.type !== "opaqueredirect") say("The endpoint did not take that: " + answer.status, "off");
  });
}

function put(part) {
  const e = document.getElementById(part.id);
  if (!e) {
    location.reload(); // a process that the page does not know yet
    return;
  }
  const had = e.contains(document.activeElement) ? document.activeElement : null;
  e.innerHTML = part.html; // drawn by the server, which escapes what processes send
  if (had && had.value) {
    const again = e.querySelector(`[value="${CSS.escape(had.value)}"]`);
    if (again) again.focus();
  } else if (had && had.href) {
    const again = [...e.querySelectorAll("a")].find((a) => a.href === had.href);
    if (again) again.focus();
  }
  const figure = e.closest("figure");
  if (figure) {
    adopt(figure);
    show(figure);
  }
}

// A browser has few connections for one server, so a page that nobody sees gives
// its own back. What it missed comes first when it is seen again.
let stream = null;
let ended = false;

function connect() {
  if (stream || ended || document.hidden) return;
  stream = new EventSource("/live?span=" + encodeURIComponent(body.dataset.span));
  stream.addEventListener("open", () => say("Live.", "on"));
  stream.addEventListener("error", () => say("The endpoint does not answer; trying again.", "off"));
  stream.addEventListener("parts", (e) => JSON.parse(e.data).forEach(put));
  stream.addEventListener("end", () => {
    ended = true;
    disconnect();
    say("The endpoint has stopped. This is what it had received.", "off");
  });
}

function disconnect() {
  if (stream) stream.close();
  stream = null;
}

document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
addEventListener("pagehide", disconnect);
addEventListener("pageshow", connect);
connect();
