// Draws the charts, and keeps the page up to date. Without it the page shows the
// latest values in tables.
"use strict";

const form = document.getElementById("view");
const live = document.getElementById("live");
const states = new Map(); // by section
let behind = 0; // ms from this browser's clock to the server's

const now = () => Date.now() + behind;
const perMinute = () => form.elements.minutes.checked;
function colour(name) {
  live.style.outlineColor = `var(--${name})`; // an outline that there is not
  return getComputedStyle(live).outlineColor;
}
const font = (size) => size + "px " + getComputedStyle(document.body).fontFamily;

function say(text, state) {
  live.textContent = text;
  live.dataset.state = state;
}

// Numbers and times, in the words that the server uses.
const digits = (v) => (v >= 100 ? Math.round(v) : Number(v.toPrecision(2))).toLocaleString("en");
function scaled(v, step, names) {
  let i = 0;
  for (; v >= step && i < names.length - 1; i++) v /= step;
  return (v >= 100 || Number.isInteger(v) ? Math.round(v) : v.toFixed(1)).toLocaleString("en") + " " + names[i];
}
const formats = {
  bytes: (v) => scaled(v, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]),
  ns: (v) => (v ? scaled(v, 1000, ["ns", "µs", "ms", "s"]) : "0"),
  count: digits,
  cores: digits,
};
const clock = (seconds) => new Date(seconds * 1000).toTimeString().slice(0, 8);
const zone = new Intl.DateTimeFormat("en", { timeZoneName: "short" }).formatToParts().find((p) => p.type === "timeZoneName").value;
function lasted(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  return (s < 3600 ? "" : Math.floor(s / 3600) + "h") + (s < 60 ? "" : (Math.floor(s / 60) % 60) + "m") + (s % 60) + "s";
}

// points returns what a figure shows of rows, which are numbers, times in ms and
// values: times in seconds, the values of each line, and the numbers. A counter is
// shown as a rate, or as the sum of each minute.
function points(rows, first, count, kind) {
  const shown = { x: [], lines: Array.from({ length: count }, () => []), numbers: [] };
  const values = (row) => row.slice(first + 2, first + 2 + count).map((v) => (v < 0 ? null : v));
  const push = (x, list, number) => {
    shown.x.push(x);
    list.forEach((v, i) => shown.lines[i].push(v));
    shown.numbers.push(number);
  };
  if (perMinute()) {
    for (const row of rows) {
      const x = Math.floor(row[1] / 60000) * 60 + 30;
      const last = shown.x.length - 1;
      if (shown.x[last] !== x) {
        push(x, values(row), row[0]);
        continue;
      }
      values(row).forEach((v, i) => {
        const had = shown.lines[i][last];
        if (v !== null) shown.lines[i][last] = kind === "counter" ? had + v : Math.max(had ?? 0, v);
      });
      shown.numbers[last] = row[0];
    }
    return shown;
  }
  const between = rows.slice(1).map((row, i) => row[1] - rows[i][1]).sort((a, b) => a - b);
  const usual = between[between.length >> 1];
  rows.forEach((row, i) => {
    const since = i ? row[1] - rows[i - 1][1] : 0;
    if (kind === "gauge" && since > 2.5 * usual) push(rows[i - 1][1] / 1000 + 0.001, values(row).map(() => null)); // nobody knows
    push(row[1] / 1000, kind === "counter" ? values(row).map((v) => (since ? (v / since) * 60000 : null)) : values(row), row[0]);
  });
  return shown;
}

// bounds returns the time that the charts of a process show, in seconds.
function bounds(state) {
  const end = perMinute() ? Math.ceil(now() / 60000) * 60 : now() / 1000;
  const first = Math.min(end, ...[state.reports, state.exports].filter((rows) => rows.length).map((rows) => rows[0][1] / 1000));
  const span = Number(form.elements.span.value);
  const start = Math.min(first, end - 60);
  const from = span ? Math.max(end - span, start) : start;
  return [perMinute() ? Math.floor(from / 60) * 60 : from, end];
}

class Figure {
  constructor(element, state) {
    Object.assign(this, { element, state }, element.dataset);
    this.names = this.lines.split(",");
    this.format = formats[this.unit];
    this.out = element.querySelector("output");
    this.place = element.querySelector(".plot");
    new ResizeObserver(() => this.plot.setSize({ width: this.place.clientWidth, height: 150 })).observe(this.place);
    element.addEventListener("keydown", (e) => this.key(e));
    element.addEventListener("blur", () => this.move(-1));
    this.place.addEventListener("click", () => this.open());
    this.build();
  }

  build() {
    if (this.plot) this.plot.destroy();
    const { state, format, kind } = this;
    this.time = (x) => (perMinute() ? clock(x - 30).slice(0, 5) : clock(x));
    this.value = (v) => (v === null || v === undefined ? "–" : format(v));
    this.element.querySelector(".how").textContent = perMinute() ? (kind === "counter" ? "sum" : "max") : kind === "counter" ? "per minute" : "";
    const text = () => colour("soft");
    const bars = perMinute() && kind === "counter";
    const steps = !perMinute() && kind !== "gauge";
    const paths = bars ? uPlot.paths.bars({ size: [0.8, 60] }) : steps ? uPlot.paths.stepped({ align: -1 }) : uPlot.paths.linear();
    const ticks = Array.from({ length: 50 }, (_, i) => (this.unit === "bytes" ? 2 ** i : [1, 2, 5][i % 3] * 10 ** (Math.floor(i / 3) - 2)));
    const latest = (list) => list.findLast((v) => v !== null);
    this.plot = new uPlot({
      width: this.place.clientWidth,
      height: 150,
      padding: [10, 22, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: state.id }, points: { size: 7 } },
      scales: { x: { range: () => bounds(state) }, y: { range: (u, min, max) => [0, (max || (this.unit === "ns" ? 1000 : 1)) * 1.12] } },
      axes: [
        { stroke: text, font: font(13), size: 26, gap: 4, space: 44, incrs: perMinute() ? [60, 300, 600, 1800, 3600] : undefined, grid: { show: false }, ticks: { stroke: text, size: 4 }, values: (u, at) => at.map((t) => (t % 60 ? clock(t).slice(5) : clock(t).slice(0, 5))) },
        { stroke: text, font: font(13), size: 64, gap: 6, space: 24, incrs: ticks, grid: { stroke: () => colour("grid"), width: 1 }, ticks: { show: false }, values: (u, at) => at.map((v) => format(v)) },
      ],
      series: [{ label: zone, value: (u, x) => (u.data[0].length ? this.time(x ?? u.data[0].at(-1)) : "") }].concat(this.names.map((label, i) => ({
        label,
        value: (u, v, line, at) => this.value(at === null ? latest(u.data[line]) : v),
        stroke: () => colour(["one", "two", "good", "soft"][i]),
        fill: i ? undefined : () => colour(bars ? "one" : "wash"),
        width: i ? 1.5 : 2,
        dash: kind === "gauge" && i ? [6, 5] : undefined,
        paths,
        spanGaps: kind === "interval",
        points: { show: (u, s, from, to) => !bars && !steps && to - from < 2 },
      }))),
      hooks: { drawAxes: [(u) => this.shade(u)] },
    }, [[], ...this.names.map(() => [])], this.place);
    this.update();
  }

  update() {
    this.shown = points(this.state[this.source], Number(this.first), this.names.length, this.kind);
    const drawn = this.shown.lines.map((list) => list.some((v) => v !== null));
    this.element.hidden = this.source === "exports" && !drawn[0];
    drawn.forEach((any, i) => i && this.plot.root.querySelectorAll(".u-series")[i + 1].toggleAttribute("hidden", !any)); // such as a limit that is not set
    this.plot.setData([this.shown.x, ...this.shown.lines]);
  }

  // shade marks outages.
  shade(u) {
    const { ctx, bbox } = u;
    const list = [...this.state.outages];
    if (this.state.failing && now() - this.state.failing > 1000) list.push([this.state.failing, now()]);
    ctx.save();
    ctx.font = font(12 * devicePixelRatio);
    ctx.textAlign = "left";
    ctx.textBaseline = "top";
    for (const [from, to, ...brought] of list) {
      const left = Math.max(bbox.left, u.valToPos(from / 1000, "x", true));
      const right = Math.min(bbox.left + bbox.width, u.valToPos(to / 1000, "x", true));
      if (right < bbox.left) continue;
      ctx.fillStyle = colour("bad-wash");
      ctx.fillRect(left, bbox.top, Math.max(right - left, 2), bbox.height);
      if (perMinute() && this.kind !== "counter") continue; // the line would run through the words
      ctx.fillStyle = colour("bad");
      const words = ["outage", lasted(to - from), brought.length && this.kind === "counter" ? "+" + this.format(brought[this.unit === "ns" ? 1 : 0]) + " after" : ""];
      words.forEach((w, i) => {
        if (ctx.measureText(w).width < right - left - 6 * devicePixelRatio) ctx.fillText(w, left + 3 * devicePixelRatio, bbox.top + (3 + 15 * i) * devicePixelRatio);
      });
    }
    ctx.restore();
  }

  // move puts the cursor on a point, or away, and has screen readers say what is there.
  move(to) {
    const x = this.shown.x[to];
    this.plot.setCursor(x === undefined ? { left: -10, top: -10 } : { left: this.plot.valToPos(x, "x"), top: 10 });
    this.out.textContent = x === undefined ? "" : `${this.time(x)} ${zone} ` + this.names.map((name, i) => name + " " + this.value(this.shown.lines[i][to])).join(", ");
  }

  key(e) {
    const { x, numbers } = this.shown;
    const first = x.findIndex((t) => t >= bounds(this.state)[0]);
    const last = x.length - 1;
    const at = this.plot.cursor.idx ?? last + 1;
    const step = e.key === "ArrowLeft" ? -1 : 1;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: first, End: last, Escape: -1, Enter: at }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    if (e.key === "Enter") return this.open();
    if (e.key === "Escape") return this.move(-1);
    const within = Math.min(Math.max(to, first), last);
    this.move(numbers[within] === undefined ? within + step : within);
  }

  open() {
    const n = this.source === "reports" && this.shown.numbers[this.plot.cursor.idx];
    if (n) raw(this.state.section, this.state.section.querySelector("a.json").href.replace(/\d+$/, n));
  }
}

// raw shows a report's document below the charts.
async function raw(section, url) {
  const pre = section.querySelector("pre");
  const answer = await fetch(url);
  pre.textContent = answer.ok ? JSON.stringify(await answer.json(), null, 2) : await answer.text();
  section.querySelector("details.raw").open = true;
  pre.hidden = false;
  pre.focus({ preventScroll: true });
  pre.scrollIntoView({ block: "nearest" });
}

document.addEventListener("click", (e) => {
  const link = e.target.closest("a.json");
  const section = link && link.closest("section.process");
  if (!section || e.ctrlKey || e.metaKey || e.shiftKey) return;
  e.preventDefault();
  raw(section, link.href);
});

// put replaces what the server draws, which escapes what processes send. The focus
// stays where it was.
function put(id, html) {
  const e = document.getElementById(id);
  if (e.drawn === html) return;
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
    for (const part in change.parts) put(change.id + "-" + part, change.parts[part]);
    const state = states.get(section);
    for (const source of ["reports", "exports"]) {
      state[source].push(...change[source]);
      state[source].splice(0, state[source].length - 3600);
    }
    state.outages = change.outages || [];
    state.failing = change.failing;
    for (const figure of state.figures) figure.update();
  }
  age();
}

// age makes the passing of time show, whether or not something comes.
function age() {
  for (const t of document.querySelectorAll("time.ago")) {
    t.textContent = lasted(now() - Date.parse(t.dateTime)) + " ago";
  }
}

for (const section of document.querySelectorAll("section.process")) {
  section.querySelector("details.raw").open = false;
  for (const e of section.querySelectorAll(".figures")) e.hidden = false;
  const state = { section, id: section.id, reports: [], exports: [], outages: [], failing: 0, figures: [] };
  states.set(section, state);
  for (const e of section.querySelectorAll("figure")) state.figures.push(new Figure(e, state));
}
const each = (f) => states.forEach((state) => state.figures.forEach(f));
const build = () => each((figure) => figure.build());
form.hidden = false;
form.addEventListener("change", build);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", build);
setInterval(() => {
  if (document.hidden || ended) return;
  age();
  each(({ element, plot }) => {
    const { top, bottom } = element.getBoundingClientRect();
    if (bottom > 0 && top < innerHeight) plot.setScale("x", { min: 0, max: 1 }); // bounds has the last word
  });
}, 1000);

const faults = document.getElementById("faults");
faults.addEventListener("submit", async (e) => {
  e.preventDefault();
  const answer = await fetch(faults.action, { method: "POST", body: new URLSearchParams({ fault: e.submitter.value }), redirect: "manual" });
  if (answer.type !== "opaqueredirect") say("The endpoint did not take that: " + answer.status, "off");
});

// A browser has few connections for one server, so a page that nobody sees gives
// its own back. What it missed comes first when it is seen again.
let stream = null;
let ended = false;
function connect() {
  if (stream) stream.close();
  stream = null;
  if (ended || document.hidden) return;
  stream = new EventSource("/live");
  stream.addEventListener("open", () => {
    say("Connected.", "on");
    for (const state of states.values()) [state.reports, state.exports] = [[], []]; // a stream begins with everything
  });
  stream.addEventListener("error", () => say("The endpoint does not answer; trying again.", "off"));
  stream.addEventListener("update", (e) => take(JSON.parse(e.data)));
  stream.addEventListener("end", () => {
    ended = true;
    stream.close();
    say("The endpoint has stopped. This is what it had received.", "off");
  });
}
document.addEventListener("visibilitychange", connect);
connect();
