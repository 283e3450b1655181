// Draws the charts, and keeps the page up to date. Without it the page shows the
// latest reports in a table.
"use strict";

// The places of a report's values, as history.since sends them.
const place = { n: 0, time: 1, heap: 2, goal: 3, stack: 4, objects: 5, goroutines: 6, collections: 7, pause: 8 };

const form = document.getElementById("view");
const live = document.getElementById("live");
const states = new Map(); // by section
let behind = 0; // ms from this browser's clock to the server's

const now = () => Date.now() + behind;
const perMinute = () => form.elements.minutes.checked;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

function say(text, state) {
  live.textContent = text;
  live.dataset.state = state;
}

// Numbers and times, in the words that the server uses.
const digits = (v) => (v >= 100 || Number.isInteger(v) ? Math.round(v) : Number(v.toPrecision(2))).toLocaleString("en");
function scaled(v, step, names) {
  let i = 0;
  for (; v >= step && i < names.length - 1; i++) v /= step;
  return (v >= 100 || Number.isInteger(v) ? Math.round(v) : v.toFixed(1)).toLocaleString("en") + " " + names[i];
}
const formats = {
  bytes: (v) => scaled(v, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]),
  ns: (v) => (v ? scaled(v, 1000, ["ns", "µs", "ms", "s"]) : "0"),
  count: digits,
};
const two = (n) => String(n).padStart(2, "0");
function clock(seconds, withSeconds = true) {
  const t = new Date(seconds * 1000);
  return two(t.getHours()) + ":" + two(t.getMinutes()) + (withSeconds ? ":" + two(t.getSeconds()) : "");
}
const zone = new Intl.DateTimeFormat("en", { timeZoneName: "short" }).formatToParts().find((p) => p.type === "timeZoneName").value;
function lasted(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 1) return "under 1 s";
  if (s < 60) return s + " s";
  return s < 3600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
}

// points returns what a figure shows: x in seconds, a list of values for each line,
// the numbers of the reports, and at which points an outage ended. A counter is
// shown as a rate, which the report that ends an outage has brought for all of it.
function points(state, keys, counter) {
  const { reports } = state;
  const at = (row) => row[place.time] / 1000;
  const ended = new Map(state.outages.map((o) => [o[1], o]));
  const out = { x: [], values: keys.map(() => []), numbers: [], after: [] };
  const push = (x, values, row) => {
    out.x.push(x);
    values.forEach((v, i) => out.values[i].push(v));
    out.numbers.push(row && row[place.n]);
    out.after.push(row && ended.get(row[place.time]));
  };
  if (perMinute()) {
    for (const row of reports) {
      const x = Math.floor(at(row) / 60) * 60 + 30;
      const last = out.x.length - 1;
      if (out.x[last] !== x) {
        push(x, keys.map((k) => row[k]), row);
        continue;
      }
      keys.forEach((k, i) => (out.values[i][last] = counter ? out.values[i][last] + row[k] : Math.max(out.values[i][last], row[k])));
      out.numbers[last] = row[place.n];
      out.after[last] ||= ended.get(row[place.time]);
    }
    return out;
  }
  const between = reports.slice(1).map((row, i) => at(row) - at(reports[i])).sort((a, b) => a - b);
  const usual = between[between.length >> 1];
  reports.forEach((row, i) => {
    const since = i > 0 ? at(row) - at(reports[i - 1]) : NaN;
    if (counter) {
      push(at(row), keys.map((k) => (since > 0 ? (row[k] / since) * 60 : null)), row);
      return;
    }
    if (since > 2.5 * usual) push(at(reports[i - 1]) + 0.001, keys.map(() => null)); // nobody knows
    push(at(row), keys.map((k) => row[k]), row);
  });
  return out;
}

// bounds returns the time that the charts of a process show, in seconds.
function bounds(state) {
  const end = perMinute() ? Math.ceil(now() / 60000) * 60 : now() / 1000;
  const first = state.reports.length ? state.reports[0][place.time] / 1000 : end;
  const span = Number(form.elements.span.value);
  const start = Math.min(first, end - 60);
  const from = span ? Math.max(end - span, start) : start;
  return [perMinute() ? Math.floor(from / 60) * 60 : from, end];
}

class Figure {
  constructor(element, state) {
    this.element = element;
    this.state = state;
    this.counter = element.dataset.counter === "true";
    this.format = formats[element.dataset.unit];
    this.lines = element.dataset.lines.split(";").filter(Boolean).map((l) => l.split(","));
    this.out = element.querySelector("output");
    const plot = element.querySelector(".plot");
    new ResizeObserver(() => this.plot && this.plot.setSize({ width: plot.clientWidth, height: 150 })).observe(plot);
    element.addEventListener("keydown", (e) => this.key(e));
    element.addEventListener("blur", () => this.leave());
    plot.addEventListener("click", () => this.open());
    this.build();
  }

  build() {
    if (this.plot) this.plot.destroy();
    const { element, state, format } = this;
    const rate = this.counter && !perMinute();
    element.querySelector(".how").textContent = rate ? "per minute" : perMinute() ? (this.counter ? "sum" : "max") : "";
    const text = () => colour("soft");
    const font = "13px " + getComputedStyle(document.body).fontFamily;
    const paths = !this.counter ? uPlot.paths.linear() : perMinute() ? uPlot.paths.bars({ size: [0.8, 60] }) : uPlot.paths.stepped({ align: -1 });
    const plot = element.querySelector(".plot");
    const steps = Array.from({ length: 50 }, (_, i) => (element.dataset.unit === "bytes" ? 2 ** i : [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3)));
    this.plot = new uPlot({
      width: plot.clientWidth,
      height: 150,
      padding: [10, 22, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: state.id }, points: { size: 7 } },
      scales: { x: { range: () => bounds(state) }, y: { range: () => [0, this.top()] } },
      axes: [
        { stroke: text, font, size: 26, gap: 4, space: 44, incrs: perMinute() ? [60, 300, 600, 1800, 3600] : undefined, grid: { show: false }, ticks: { stroke: () => colour("soft"), size: 4 }, values: (u, at) => at.map((t) => (t % 60 ? ":" + two(t % 60) : clock(t, false))) },
        { stroke: text, font, size: 64, gap: 6, space: 24, incrs: steps, grid: { stroke: () => colour("grid"), width: 1 }, ticks: { show: false }, values: (u, at) => at.map((v) => format(v)) },
      ],
      series: [{}].concat(this.lines.map((_, i) => ({
        stroke: () => colour(i ? "two" : "one"),
        fill: i ? undefined : () => colour(this.counter && perMinute() ? "one" : "wash"),
        width: i ? 1.5 : 2,
        dash: i ? [6, 5] : undefined,
        paths,
        points: { show: (u, s, from, to) => !this.counter && to - from < 2 },
      }))),
      hooks: { drawAxes: [(u) => this.shade(u)], draw: [(u) => this.mark(u)], setCursor: [() => this.read()] },
    }, [[], ...this.lines.map(() => [])], plot);
    this.update();
  }

  update() {
    this.shown = points(this.state, this.lines.map(([key]) => place[key]), this.counter);
    this.plot.setData([this.shown.x, ...this.shown.values]);
    this.read();
  }

  // top is the highest value, of sums without those that an outage has piled up.
  top() {
    const [from] = bounds(this.state);
    let top = 0, piled = 0;
    this.shown && this.shown.x.forEach((x, i) => {
      const v = x < from ? 0 : Math.max(...this.shown.values.map((list) => list[i] ?? 0));
      if (this.counter && perMinute() && this.shown.after[i]) piled = Math.max(piled, v);
      else top = Math.max(top, v);
    });
    this.clipped = top > 0 && piled > top;
    return (top || piled || (this.element.dataset.unit === "ns" ? 1000 : 1)) * 1.12;
  }

  // shade marks outages, and names the time zone.
  shade(u) {
    const { ctx, bbox } = u;
    const list = this.state.outages.map(([from, to, ...brought]) => [from, to, brought]);
    if (this.state.failing && now() - this.state.failing > 1000) list.push([this.state.failing, now(), null]);
    ctx.save();
    ctx.font = `${12 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
    ctx.textAlign = "left";
    ctx.textBaseline = "top";
    for (const [from, to, brought] of list) {
      const left = Math.max(bbox.left, u.valToPos(from / 1000, "x", true));
      const right = Math.min(bbox.left + bbox.width, u.valToPos(to / 1000, "x", true));
      if (right < bbox.left) continue;
      ctx.fillStyle = colour("bad-wash");
      ctx.fillRect(left, bbox.top, Math.max(right - left, 2), bbox.height);
      if (perMinute() && !this.counter) continue; // the line would run through the words
      ctx.fillStyle = colour("bad");
      const words = ["outage", lasted(to - from), brought && this.counter ? "+" + this.format(brought[this.element.dataset.unit === "ns" ? 1 : 0]) + " after" : ""];
      words.forEach((w, i) => {
        if (ctx.measureText(w).width < right - left - 6 * devicePixelRatio) ctx.fillText(w, left + 3 * devicePixelRatio, bbox.top + (3 + 15 * i) * devicePixelRatio);
      });
    }
    ctx.fillStyle = colour("soft");
    ctx.textBaseline = "bottom";
    ctx.fillText(zone, 0, bbox.top + bbox.height + 20 * devicePixelRatio);
    ctx.restore();
  }

  // mark tells how high the sums are that are clipped.
  mark(u) {
    if (!this.clipped) return;
    const { ctx, bbox } = u;
    ctx.save();
    ctx.font = `${12 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
    ctx.fillStyle = colour("bad");
    ctx.textAlign = "center";
    ctx.textBaseline = "bottom";
    const top = u.scales.y.max;
    this.shown.x.forEach((x, i) => {
      const at = u.valToPos(x, "x", true);
      if (this.shown.values[0][i] > top && at > bbox.left) ctx.fillText("▲ " + this.format(this.shown.values[0][i]), Math.min(at, bbox.left + bbox.width - 30 * devicePixelRatio), bbox.top + 2 * devicePixelRatio);
    });
    ctx.restore();
  }

  // read shows the values at the cursor, or the latest, in the caption, and in words
  // where the pointer or the keyboard is.
  read() {
    if (!this.shown) return;
    const { idx } = this.plot ? this.plot.cursor : {};
    const { x, values, after, numbers } = this.shown;
    const i = idx ?? x.length - 1;
    const value = (list) => (list[i] === null || list[i] === undefined ? "–" : this.format(list[i]));
    this.element.querySelector(".values").replaceChildren(...this.lines.flatMap(([, name], k) => {
      const b = document.createElement("b");
      b.textContent = value(values[k]);
      const key = document.createElement("i");
      key.className = "key";
      return k ? [key, name + " ", b] : [b];
    }));
    const here = this.element.matches(":hover, :focus") && idx != null && numbers[idx] !== undefined;
    this.out.textContent = here ? (perMinute() ? clock(x[i] - 30, false) : clock(x[i])) + " " + zone + "  " +
      this.lines.map(([, name], k) => name + " " + value(values[k])).join(", ") +
      (after[i] ? `, after an outage of ${lasted(after[i][1] - after[i][0])}` : "") : "";
    if (here) {
      const middle = this.plot.over.offsetLeft + this.plot.valToPos(x[i], "x") - this.out.offsetWidth / 2;
      this.out.style.left = Math.max(0, Math.min(middle, this.element.clientWidth - this.out.offsetWidth)) + "px";
    }
  }

  move(to) {
    const { x, numbers } = this.shown;
    const [from] = bounds(this.state);
    const step = to < (this.plot.cursor.idx ?? x.length) ? -1 : 1;
    while (numbers[to] === undefined && to > 0 && to < x.length - 1) to += step;
    if (x[to] === undefined || x[to] < from) return;
    this.plot.setCursor({ left: this.plot.valToPos(x[to], "x"), top: 10 });
  }

  leave() {
    this.plot.setCursor({ left: -10, top: -10 });
  }

  key(e) {
    const last = this.shown.x.length - 1;
    const idx = this.plot.cursor.idx ?? last + 1;
    if (e.key === "ArrowLeft") this.move(Math.max(0, idx - 1));
    else if (e.key === "ArrowRight") this.move(Math.min(last, idx + 1));
    else if (e.key === "Home") this.move(this.shown.x.findIndex((x) => x >= bounds(this.state)[0]));
    else if (e.key === "End") this.move(last);
    else if (e.key === "Enter") this.open();
    else if (e.key === "Escape") this.leave();
    else return;
    e.preventDefault();
  }

  open() {
    const n = this.shown.numbers[this.plot.cursor.idx];
    if (n) raw(this.state.section, `/report?process=${this.state.section.dataset.process}&n=${n}`);
  }
}

// raw shows a report's document below the charts.
async function raw(section, url) {
  const pre = section.querySelector("pre");
  const text = await (await fetch(url)).text();
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

document.addEventListener("click", (e) => {
  const link = e.target.closest("a.json");
  const section = link && link.closest("section");
  if (!section || !section.querySelector("pre") || e.ctrlKey || e.metaKey || e.shiftKey) return;
  e.preventDefault();
  raw(section, link.href);
});

// put replaces what the server draws, which escapes what processes send. The focus
// stays where it was.
function put(id, html) {
  const e = document.getElementById(id);
  if (!e || e.drawn === html) return;
  const had = e.contains(document.activeElement) ? document.activeElement : null;
  e.innerHTML = e.drawn = html;
  const again = had && [...e.querySelectorAll("a, button")].find((a) => (had.href ? a.href === had.href : a.value === had.value));
  if (again) again.focus();
  for (const t of e.querySelectorAll("time:not(.ago)")) t.textContent = clock(Date.parse(t.dateTime) / 1000) + " " + zone;
}

function take(update) {
  behind = update.now - Date.now();
  put("faults", update.faults);
  put("processes", update.processes);
  for (const change of update.changed || []) {
    const section = document.getElementById(change.id);
    if (!section) {
      location.reload(); // a process that the page does not know yet
      return;
    }
    put(change.id + "-facts", change.facts);
    put(change.id + "-rows", change.rows);
    const state = states.get(section);
    state.reports.push(...(change.reports || []));
    state.reports.splice(0, state.reports.length - 3600);
    state.outages = change.outages || [];
    state.failing = change.failing;
    for (const figure of state.figures) figure.update();
  }
  age();
}

// age makes the passing of time show, whether or not something comes.
function age() {
  for (const t of document.querySelectorAll("time.ago")) {
    const ms = now() - Date.parse(t.dateTime);
    t.textContent = ms < 500 ? "now" : lasted(ms) + " ago";
  }
}

for (const section of document.querySelectorAll("section[data-process]")) {
  section.querySelector("details.raw").open = false;
  section.querySelector(".figures").hidden = false;
  const state = { section, id: section.id, reports: [], outages: [], failing: 0, figures: [] };
  states.set(section, state);
  for (const e of section.querySelectorAll("figure")) state.figures.push(new Figure(e, state));
}
const each = (f) => states.forEach((state) => state.figures.forEach(f));
form.hidden = false;
form.addEventListener("change", () => each((figure) => figure.build()));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => each((figure) => figure.plot.redraw()));
setInterval(() => {
  if (document.hidden || ended) return;
  age();
  each(({ element, plot }) => {
    const { top, bottom } = element.getBoundingClientRect();
    if (bottom > 0 && top < innerHeight) plot.setScale("x", { min: 0, max: 1 }); // bounds has the last word
  });
}, 1000);

const faults = document.getElementById("faults");
if (faults) {
  faults.addEventListener("submit", async (e) => {
    e.preventDefault();
    const answer = await fetch(faults.action, { method: "POST", body: new URLSearchParams({ fault: e.submitter.value }), redirect: "manual" });
    if (answer.type !== "opaqueredirect") say("The endpoint did not take that: " + answer.status, "off");
  });
}

// A browser has few connections for one server, so a page that nobody sees gives
// its own back. What it missed comes first when it is seen again.
let stream = null;
let ended = false;

function connect() {
  if (stream || ended || document.hidden) return;
  stream = new EventSource("/live");
  stream.addEventListener("open", () => {
    say("Connected.", "on");
    for (const state of states.values()) state.reports = []; // a stream begins with everything
  });
  stream.addEventListener("error", () => say("The endpoint does not answer; trying again.", "off"));
  stream.addEventListener("update", (e) => take(JSON.parse(e.data)));
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
