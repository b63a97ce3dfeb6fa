"use strict";
// The tables can be sorted, and the calls are drawn as a waterfall. The page is whole without this.

function sortable(table) {
  const body = table.tBodies[0];
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const number = parseFloat(cell.dataset.value ?? cell.textContent.replaceAll(",", ""));
    return cell.classList.contains("n") && !Number.isNaN(number) ? number : cell.textContent;
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const direction = heading.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", direction);
      const sign = direction === "ascending" ? 1 : -1;
      const rows = [...body.rows].map((row) => [valueOf(row, column), row]);
      rows.sort((a, b) => sign * compare(a[0], b[0]));
      body.append(...rows.map((pair) => pair[1]));
    });
  });
}

const ROW = 18;
const LABEL = 240; // pixels of the names
const CHART = 70; // pixels of the calls in progress and the axis

function shortly(time) {
  if (Math.abs(time) >= 1e6) return `${(time / 1e6).toFixed(2)} s`;
  return `${(time / 1e3).toFixed(time % 1e3 ? 1 : 0)} ms`;
}

// Round times within an interval, about six of them.
function ticks(from, to) {
  const least = (to - from) / 8;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = power * [1, 2, 5, 10].find((factor) => power * factor >= least);
  const times = [];
  for (let time = Math.ceil(from / step) * step; time <= to; time += step) times.push(Math.round(time));
  return times;
}

// How many calls are in progress: [time, number] at each change, in order.
function inProgress(calls) {
  const changes = new Float64Array(calls.length * 2);
  calls.forEach((call, index) => { changes[index * 2] = call[0] * 2 + 1; changes[index * 2 + 1] = (call[0] + call[1]) * 2; });
  changes.sort(); // at the same time an end, which is even, precedes a start
  let number = 0;
  return Array.from(changes, (change) => [Math.floor(change / 2), (number += change % 2 ? 1 : -1)]);
}

class Painter {
  constructor(canvas) {
    this.canvas = canvas;
    const ratio = devicePixelRatio || 1;
    [this.width, this.height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = this.width * ratio;
    canvas.height = this.height * ratio;
    this.context = canvas.getContext("2d");
    this.context.scale(ratio, ratio);
    this.context.font = "12px system-ui, sans-serif";
    this.context.textBaseline = "middle";
    const style = getComputedStyle(document.documentElement);
    this.colors = Object.fromEntries(["bar", "bad", "dim", "line", "text", "select"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }

  scale(from, to) {
    this.position = (time) => LABEL + ((time - from) * (this.width - LABEL)) / (to - from);
  }

  fill(color, x, y, width, height, alpha = 1) {
    this.context.fillStyle = this.colors[color];
    this.context.globalAlpha = alpha;
    this.context.fillRect(x, y, width, height);
    this.context.globalAlpha = 1;
  }

  slice(color, start, length, y, height, alpha = 1) {
    const [left, right] = [Math.max(this.position(start), LABEL), Math.min(this.position(start + length), this.width)];
    if (right >= LABEL && left <= this.width) this.fill(color, left, y, Math.max(right - left, 1.5), height, alpha);
  }

  text(color, text, x, y, most) {
    this.context.fillStyle = this.colors[color];
    this.context.fillText(text, x, y, most);
  }
}

function waterfall(section, data) {
  const find = (selector) => section.querySelector(selector);
  const [box, canvas, spacer, chart] = [find(".plot"), find(".plot canvas"), find(".spacer"), find(".chart")];
  const [form, output, details] = [find("form"), find("output"), find(".details")];
  const fields = form.elements;
  // [start, length, name, result, failed, attempts, message, region, back-off]; times in microseconds
  const calls = data.calls;
  const first = calls.reduce((least, call) => Math.min(least, call[0]), Infinity);
  const last = Math.max(calls.reduce((most, call) => Math.max(most, call[0] + call[1]), first), first + 1);
  let shown = calls;
  let rows = []; // by operation: [name, its calls]
  let progress = [];
  let [from, to] = [first, last];
  let selected = null; // a call
  let saving = 0;
  let drawing = 0;

  const isByOperation = () => fields.view.value === "operation";

  function restore() {
    const state = new URLSearchParams(location.hash.slice(1));
    const number = (name, otherwise) => (state.has(name) && Number.isFinite(+state.get(name)) ? +state.get(name) : otherwise);
    fields.search.value = state.get("search") ?? "";
    fields.minimum.value = state.get("minimum") ?? "";
    fields.failed.checked = state.get("failed") === "1";
    fields.view.value = state.get("view") === "operation" ? "operation" : "time";
    show(number("from", first), number("to", last));
    select(calls[number("call", -1)] ?? null);
  }

  function save() {
    clearTimeout(saving);
    saving = setTimeout(() => {
      const state = new URLSearchParams();
      if (fields.search.value) state.set("search", fields.search.value);
      if (fields.minimum.value) state.set("minimum", fields.minimum.value);
      if (fields.failed.checked) state.set("failed", "1");
      if (isByOperation()) state.set("view", "operation");
      if (from !== first || to !== last) {
        state.set("from", Math.round(from));
        state.set("to", Math.round(to));
      }
      if (selected) state.set("call", calls.indexOf(selected));
      history.replaceState(null, "", `#${state}`);
    }, 200);
  }

  function filter() {
    const words = fields.search.value.toLowerCase();
    const has = (texts) => texts.map((text) => text.toLowerCase().includes(words));
    const [names, results, messages] = [has(data.names), has(data.results), has(data.messages)];
    const least = (parseFloat(fields.minimum.value) || 0) * 1e3;
    const isWanted = (call) =>
      call[1] >= least && (call[4] || !fields.failed.checked) && (names[call[2]] || results[call[3]] || (words && messages[call[6]]));
    const wanted = calls.filter(isWanted);
    progress = inProgress(wanted);
    shown = wanted.filter((call) => call[0] <= to && call[0] + call[1] >= from);
    const byName = new Map();
    for (const call of shown) {
      if (!byName.has(call[2])) byName.set(call[2], []);
      byName.get(call[2]).push(call);
    }
    rows = [...byName].sort((a, b) => b[1].length - a[1].length);
    spacer.style.height = `${Math.max((isByOperation() ? rows : shown).length * ROW - box.clientHeight, 0)}px`;
    output.textContent = `${shown.length.toLocaleString("en")} of ${calls.length.toLocaleString("en")} calls`;
    draw();
  }

  function show(start, end) {
    const length = Math.min(Math.max(end - start, 1), last - first);
    from = Math.min(Math.max(start, first), last - length);
    to = from + length;
    filter();
  }

  function zoom(factor, at = (from + to) / 2) {
    show(at - (at - from) * factor, at + (to - at) * factor);
    save();
  }

  function pan(by) {
    show(from + by, to + by);
    save();
  }

  function draw() {
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(paint);
  }

  function paint() {
    paintChart();
    const painter = new Painter(canvas);
    painter.scale(from, to);
    for (const time of ticks(from, to)) painter.fill("line", painter.position(time), 0, 1, painter.height);
    const entries = isByOperation() ? rows : shown;
    const top = Math.floor(box.scrollTop / ROW);
    const bottom = Math.min(top + Math.ceil(painter.height / ROW) + 1, entries.length);
    for (let index = top; index < bottom; index += 1) {
      const y = index * ROW - box.scrollTop;
      (isByOperation() ? paintOperation : paintCall)(painter, entries[index], y);
    }
    canvas.setAttribute("aria-label", `Calls from ${shortly(from)} to ${shortly(to)}; the table below has the same`);
  }

  function paintCall(painter, call, y) {
    const [start, length, name, result, failed, attempts] = call;
    const color = failed ? "bad" : "bar";
    if (call === selected) painter.fill("select", 0, y, painter.width, ROW);
    painter.text(failed ? "bad" : "text", `${failed ? "✗ " : ""}${data.names[name]}`, 0, y + ROW / 2, LABEL - 8);
    painter.slice(color, start, length, y + 4, ROW - 8, attempts.length > 1 ? 0.35 : 1);
    if (attempts.length > 1) for (const [at, long, lost] of attempts) painter.slice(lost ? "bad" : "bar", at, long, y + 6, ROW - 12);
    const end = Math.max(painter.position(start + length), LABEL) + 6;
    if (end < painter.width - 40) painter.text("dim", `${shortly(length)} ${failed ? data.results[result] : ""}`, end, y + ROW / 2);
  }

  function paintOperation(painter, [name, those], y) {
    painter.text("text", `${data.names[name]} ×${those.length.toLocaleString("en")}`, 0, y + ROW / 2, LABEL - 8);
    const drawn = [-1, -1]; // the last pixel of those that went well, and of those that failed
    for (const call of those) {
      const end = painter.position(call[0] + call[1]);
      if (end <= drawn[call[4]]) continue; // thousands would be drawn over each other
      drawn[call[4]] = Math.floor(end) + (end - painter.position(call[0]) < 1);
      painter.slice(call[4] ? "bad" : "bar", call[0], call[1], y + (call[4] ? 2 : 4), ROW - (call[4] ? 4 : 8), call[4] ? 1 : 0.6);
    }
  }

  function paintChart() {
    const painter = new Painter(chart);
    painter.scale(from, to);
    const [bottom, most] = [CHART - 20, progress.reduce((highest, change) => Math.max(highest, change[1]), 1)];
    painter.text("dim", `in progress, at most ${most.toLocaleString("en")}`, 0, bottom / 2, LABEL - 8);
    let pixel = -1;
    let highest = 0;
    const flush = (until, number) => {
      if (highest) painter.fill("bar", pixel, bottom - (highest / most) * (bottom - 4), 1, (highest / most) * (bottom - 4));
      if (number) painter.fill("bar", pixel + 1, bottom - (number / most) * (bottom - 4), Math.max(until - pixel - 1, 0), (number / most) * (bottom - 4));
    };
    let number = 0;
    pixel = LABEL;
    for (const [time, after] of progress) {
      const at = Math.min(Math.max(Math.floor(painter.position(time)), LABEL), painter.width);
      if (at !== pixel) {
        flush(at, number);
        [pixel, highest] = [at, number];
      }
      highest = Math.max(highest, after);
      number = after;
    }
    flush(painter.width, number);
    for (const time of ticks(from, to)) {
      painter.fill("line", painter.position(time), bottom, 1, 6);
      painter.context.textAlign = painter.position(time) > painter.width - 40 ? "right" : "center";
      painter.text("dim", shortly(time), painter.position(time), CHART - 7);
    }
  }

  function select(call) {
    selected = call;
    details.textContent = call ? described(call) : "";
    draw();
  }

  function described([start, length, name, result, , attempts, message, region, backOff]) {
    const facts = [`${data.names[name]} at ${shortly(start)}, ${shortly(length)}`, data.results[result], data.regions[region]];
    if (attempts.length > 1) facts.push(`${attempts.length} attempts of ${attempts.map((one) => shortly(one[1])).join(", ")}`);
    if (backOff) facts.push(`${shortly(backOff)} in back-off`);
    facts.push(data.messages[message]);
    return facts.filter(Boolean).join("; ");
  }

  function move(by) {
    if (isByOperation() || !shown.length) return;
    const now = shown.indexOf(selected);
    const index = now < 0 ? (by > 0 ? 0 : shown.length - 1) : Math.min(Math.max(now + by, 0), shown.length - 1);
    const y = index * ROW;
    if (y < box.scrollTop) box.scrollTop = y;
    if (y + ROW > box.scrollTop + box.clientHeight) box.scrollTop = y + ROW - box.clientHeight;
    select(shown[index]);
    save();
  }

  // The call at a point of the canvas, or null.
  function callAt(event) {
    const row = Math.floor((event.offsetY + box.scrollTop) / ROW);
    if (!isByOperation()) return shown[row] ?? null;
    if (!rows[row] || event.offsetX < LABEL) return null;
    const pixel = (to - from) / (canvas.clientWidth - LABEL);
    const at = from + (event.offsetX - LABEL) * pixel;
    const those = rows[row][1].filter((call) => call[0] - pixel * 2 <= at && call[0] + call[1] + pixel * 2 >= at);
    return those.find((call) => call[4]) ?? those[0] ?? null;
  }

  form.addEventListener("input", () => { box.scrollTop = 0; filter(); save(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  const actions = {
    in: () => zoom(0.5),
    out: () => zoom(2),
    all: () => { show(first, last); save(); },
    left: () => pan((from - to) / 4),
    right: () => pan((to - from) / 4),
    up: () => move(-1),
    down: () => move(1),
  };
  for (const button of form.querySelectorAll("button")) button.addEventListener("click", actions[button.value]);
  const keys = { "+": "in", "-": "out", 0: "all", ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    actions[keys[event.key]]();
  });
  box.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const share = (event.offsetX - LABEL) / (canvas.clientWidth - LABEL);
    zoom(event.deltaY > 0 ? 1.25 : 0.8, from + (to - from) * Math.min(Math.max(share, 0), 1));
  }, { passive: false });
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons & 1) pan((-event.movementX * (to - from)) / (canvas.clientWidth - LABEL));
    else if (!box.contains(document.activeElement)) select(callAt(event));
  });
  canvas.addEventListener("click", (event) => { select(callAt(event)); save(); });
  box.addEventListener("scroll", draw);
  addEventListener("resize", filter);
  addEventListener("hashchange", restore);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  section.hidden = false;
  restore();
}

for (const table of document.querySelectorAll("table")) sortable(table);
const data = document.getElementById("data");
if (data) waterfall(document.getElementById("waterfall"), JSON.parse(data.textContent));
