// Draws the charts, and keeps the page up to date.
"use strict";

const form = document.getElementById("view");
const live = document.getElementById("status");
const { zone, offset } = document.body.dataset; // the server's, as in all that it renders
let now = Date.now() / 1000; // by the server's clock, in seconds

const perMinute = () => form.elements.minutes.checked;
const font = (size) => size + "px " + "system-ui, sans-serif";
function colour(name) {
  live.style.outlineColor = `var(--${name})`; // an outline that there is not
  return getComputedStyle(live).outlineColor;
}
function say(text, state) {
  if (live.textContent === text) return; // not to be read out each time
  live.textContent = text;
  live.className = state;
}

// Numbers and times, as the server renders them.
const short = (v, digits = 2) => (v < 100 ? Number(v.toPrecision(digits)) : Math.round(v)).toLocaleString("en");
function scaled(v, step, names) {
  let i = 0;
  for (; v >= step && i < names.length - 1; i++) v /= step;
  return short(v, 3) + " " + names[i];
}
const formats = {
  bytes: (v) => scaled(v, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]),
  ns: (v) => (v ? scaled(v, 1000, ["ns", "µs", "ms", "s"]) : "0"),
};
const clock = (seconds) => new Date((seconds + Number(offset)) * 1000).toISOString().slice(11, 19);

// points returns what a figure shows: for each time in seconds the values of its
// lines. A counter is shown as a rate, or as the sum of each minute.
function points(rows, first, lines, kind) {
  const list = rows.map((row) => [row[0] / 1000, ...row.slice(first, first + lines).map((v) => (v < 0 ? null : v))]);
  if (perMinute()) {
    const add = kind === "counter" ? (a, b) => a + b : Math.max;
    const both = (a, b) => b.map((v, i) => (a[i] === null || v === null ? (a[i] ?? v) : add(a[i], v)));
    return [...Map.groupBy(list, ([x]) => Math.floor(x / 60) * 60 + 30)].map(([x, minute]) => [x, ...minute.reduce(both).slice(1)]);
  }
  const since = list.map(([x], i) => Math.max(x - (i && list[i - 1][0]), 0.001));
  if (kind === "counter") return list.map(([x, ...values], i) => [x, ...values.map((v) => (i ? (v / since[i]) * 60 : null))]);
  if (kind === "interval") return list;
  const usual = since.toSorted((a, b) => a - b)[since.length >> 1];
  const unknown = (i) => [list[i - 1][0] + 0.001, ...Array(lines).fill(null)]; // after the point before a gap
  return list.flatMap((point, i) => (i && since[i] > 2.5 * usual ? [unknown(i), point] : [point]));
}

// bounds returns the time that all charts show, in seconds.
function bounds() {
  const step = perMinute() ? 60 : 1;
  const end = Math.ceil(now / step) * step;
  const first = Math.min(end - 60, ...groups.filter(({ rows }) => rows.length).map(({ rows }) => rows[0][0] / 1000));
  return [Math.floor(Math.max(first, end - Number(form.elements.span.value)) / step) * step, end];
}

class Figure {
  constructor(element, group) {
    Object.assign(this, { element, group, first: group.width }, element.dataset);
    this.names = this.lines.split(",");
    group.width += this.names.length;
    this.place = element.querySelector(".plot");
    this.slider = element.querySelector("input");
    this.slider.addEventListener("input", () => this.read());
    this.slider.addEventListener("focus", () => this.read());
    this.slider.addEventListener("blur", () => this.plot.setCursor({ left: -10, top: -10 }));
    new ResizeObserver(() => this.plot.setSize({ width: this.place.clientWidth, height: 150 })).observe(this.place);
    this.build();
  }

  build() {
    this.plot?.destroy();
    const { kind } = this;
    this.time = (x) => (perMinute() ? clock(x - 30).slice(0, 5) : clock(x));
    this.value = (v) => (v === null || v === undefined ? "–" : (formats[this.unit] ?? short)(v));
    this.element.querySelector(".how").textContent = perMinute() ? (kind === "counter" ? "sum" : "max") : kind === "counter" ? "per minute" : "";
    const bars = perMinute() && kind === "counter";
    const steps = !perMinute() && kind !== "gauge";
    const axis = { stroke: () => colour("soft"), font: font(13), ticks: { show: false } };
    const incrs = this.unit === "bytes" ? Array.from({ length: 50 }, (_, i) => 2 ** i) : undefined;
    const grid = { stroke: () => colour("edge"), width: 1 };
    this.plot = new uPlot({
      width: this.place.clientWidth,
      height: 150,
      padding: [10, 22, 0, 0],
      cursor: { y: false, drag: { x: false }, sync: { key: this.element.closest("section").id }, points: { size: 7 } },
      scales: { x: { range: bounds }, y: { range: (u, min, max) => [0, (max || (this.unit === "ns" ? 1000 : 1)) * 1.12] } },
      axes: [
        { ...axis, size: 28, gap: 9, grid: { show: false }, values: (u, at) => at.map((t) => (t % 60 ? clock(t).slice(5) : clock(t).slice(0, 5))) },
        { ...axis, size: 64, space: 24, incrs, grid, values: (u, at) => at.map(this.value) },
      ],
      series: [{ label: zone, value: (u, x) => (u.data[0].length ? this.time(x ?? u.data[0].at(-1)) : "") }].concat(this.names.map((label, i) => ({
        label,
        value: (u, v, line, at) => this.value(at === null ? u.data[line].findLast((v) => v !== null) : v),
        stroke: () => colour(["one", "two", "good", "soft"][i]),
        fill: i ? undefined : () => colour(bars ? "one" : "wash"),
        width: i ? 1.5 : 2,
        dash: kind === "gauge" && i ? [6, 5] : undefined,
        paths: bars ? uPlot.paths.bars({ size: [0.8, 60] }) : steps ? uPlot.paths.stepped({ align: -1 }) : uPlot.paths.linear(),
        spanGaps: kind === "interval",
        points: { show: (u, line, from, to) => !bars && !steps && to - from < 2 },
      }))),
      hooks: { drawAxes: [(u) => this.shade(u)] },
    }, [[], ...this.names.map(() => [])], this.place);
    this.update();
  }

  update() {
    const shown = points(this.group.rows, this.first, this.names.length, this.kind);
    const data = ["time", ...this.names].map((_, i) => shown.map((point) => point[i]));
    const drawn = data.map((list) => list.some((v) => v !== null));
    this.group.element.hidden = !data[0].length;
    this.place.classList.toggle("empty", !drawn[1]);
    const legend = this.plot.root.querySelectorAll(".u-series");
    legend.forEach((e, i) => e.toggleAttribute("hidden", !drawn[i])); // such as a limit that is not set
    this.plot.batch(() => this.plot.setData(data)); // at once, which read relies on
    this.slider.min = Math.max(0, data[0].findIndex((x) => x >= bounds()[0]));
    this.slider.max = data[0].length - 1;
    if (document.activeElement === this.slider) this.read();
    else this.slider.value = this.slider.max;
  }

  // read puts the cursor on the slider's point, and has screen readers say what is there.
  read() {
    const [x, ...values] = this.plot.data.map((list) => list[this.slider.valueAsNumber]);
    if (x === undefined) return;
    this.plot.setCursor({ left: this.plot.valToPos(x, "x"), top: 10 });
    this.slider.ariaValueText = `${this.time(x)} ${zone} ` + this.names.map((name, i) => name + " " + this.value(values[i])).join(", ");
  }

  // shade marks outages.
  shade({ ctx, bbox, valToPos }) {
    ctx.save();
    ctx.font = font(12 * devicePixelRatio);
    ctx.textAlign = "left";
    ctx.textBaseline = "top";
    for (const [from, to] of this.group.outages) {
      const left = Math.max(bbox.left, valToPos(from / 1000, "x", true));
      const right = Math.min(bbox.left + bbox.width, valToPos(to / 1000, "x", true));
      if (right < left) continue;
      ctx.fillStyle = colour("bad-wash");
      ctx.fillRect(left, bbox.top, Math.max(right - left, 2), bbox.height);
      ctx.fillStyle = colour("bad");
      if (ctx.measureText(" outage ").width < right - left) ctx.fillText(" outage", left, bbox.top + 3 * devicePixelRatio);
    }
    ctx.restore();
  }
}

const groups = [...document.querySelectorAll(".figures")].map((element) => (
  { element, width: 1, total: 0, rows: [], outages: [] } // a row has the time in ms, and then the values of all figures
));
const figures = groups.flatMap((group) => [...group.element.children].map((element) => new Figure(element, group)));
for (const details of document.querySelectorAll("details")) details.open = false;
const build = () => figures.forEach((figure) => figure.build());
form.addEventListener("change", build);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", build);

function take(update) {
  if (update.groups.some(([total], i) => total < groups[i].total)) location.reload(); // the endpoint was started again
  now = update.now / 1000;
  const fresh = new DOMParser().parseFromString(update.page, "text/html");
  for (const part of fresh.querySelectorAll(".live")) {
    const shown = document.getElementById(part.id);
    if (shown.drawn === part.innerHTML) continue;
    const focused = shown.contains(document.activeElement) ? document.activeElement : null;
    shown.innerHTML = shown.drawn = part.innerHTML; // the server has escaped what processes send
    if (focused) [...shown.querySelectorAll("a, button")].find((e) => e.href === focused.href && e.value === focused.value)?.focus();
  }
  update.groups.forEach(([total, rows, outages], i) => {
    Object.assign(groups[i], { total, outages });
    groups[i].rows = [...groups[i].rows, ...rows].slice(-3600);
    for (const figure of figures.filter(({ group }) => group === groups[i])) {
      const { top, bottom } = figure.element.getBoundingClientRect();
      if (rows.length || (bottom > 0 && top < innerHeight)) figure.update(); // what is seen moves with the time
    }
  });
}

const faults = document.getElementById("faults");
faults.addEventListener("submit", async (e) => {
  e.preventDefault();
  const answer = await fetch(faults.action, { method: "POST", body: new URLSearchParams({ fault: e.submitter.value }), redirect: "manual" });
  if (answer.type !== "opaqueredirect") say("The endpoint did not take that: " + answer.status, "off");
  wake();
});

let wake;
async function follow() {
  for (;;) {
    try {
      const answer = await fetch("/live?had=" + groups.map(({ total }) => total).join("+"));
      take(await answer.json());
      say("Connected.", "on");
    } catch {
      say("The endpoint does not answer. This is what it had received.", "off");
    }
    await new Promise((resolve) => setTimeout((wake = resolve), 1000));
  }
}
follow();
