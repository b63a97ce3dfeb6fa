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

function waterfall(section, data) {
  const ROW = 18;
  const LABEL = 240; // pixels of the names
  const [box, canvas, spacer] = [".plot", "canvas", ".spacer"].map((one) => section.querySelector(one));
  const [form, output] = ["form", "output"].map((one) => section.querySelector(one));
  const fields = form.elements;
  // [start, length, name, result, failed, attempts], times in microseconds
  const calls = data.calls;
  const first = calls.reduce((least, call) => Math.min(least, call[0]), Infinity);
  const last = Math.max(calls.reduce((most, call) => Math.max(most, call[0] + call[1]), first), first + 1);
  let shown = calls;
  let [from, to] = [first, last];
  let saving = 0;
  let drawing = 0;

  const shortly = (time) => (Math.abs(time) >= 1e6 ? `${(time / 1e6).toFixed(2)} s` : `${(time / 1e3).toFixed(time % 1e3 ? 1 : 0)} ms`);

  function restore() {
    const state = new URLSearchParams(location.hash.slice(1));
    const number = (name, otherwise) => (state.has(name) && Number.isFinite(+state.get(name)) ? +state.get(name) : otherwise);
    fields.search.value = state.get("search") ?? "";
    fields.minimum.value = state.get("minimum") ?? "";
    fields.failed.checked = state.get("failed") === "1";
    show(number("from", first), number("to", last));
  }

  function save() {
    clearTimeout(saving);
    saving = setTimeout(() => {
      const state = new URLSearchParams();
      if (fields.search.value) state.set("search", fields.search.value);
      if (fields.minimum.value) state.set("minimum", fields.minimum.value);
      if (fields.failed.checked) state.set("failed", "1");
      if (from !== first || to !== last) {
        state.set("from", Math.round(from));
        state.set("to", Math.round(to));
      }
      history.replaceState(null, "", `#${state}`);
    }, 200);
  }

  function filter() {
    const words = fields.search.value.toLowerCase();
    const has = (texts) => texts.map((text) => text.toLowerCase().includes(words));
    const [names, results] = [has(data.names), has(data.results)];
    const least = (parseFloat(fields.minimum.value) || 0) * 1e3;
    shown = calls.filter(
      (call) => call[0] <= to && call[0] + call[1] >= from && call[1] >= least && (call[4] || !fields.failed.checked) && (names[call[2]] || results[call[3]]),
    );
    spacer.style.height = `${Math.max(shown.length * ROW - box.clientHeight, 0)}px`;
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

  function draw() {
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(paint);
  }

  function paint() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(`--${name}`);
    const [bar, bad, dim, line, text] = ["bar", "bad", "dim", "line", "text"].map(color);
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    const scale = (width - LABEL) / (to - from);
    const position = (time) => LABEL + (time - from) * scale;
    for (let tick = 0; tick < 5; tick += 1) {
      context.fillStyle = line;
      context.fillRect(LABEL + ((width - LABEL) * tick) / 5, 0, 1, height);
    }
    const slice = (start, length, y, thickness) => {
      const [left, right] = [Math.max(position(start), LABEL), Math.min(position(start + length), width)];
      if (right >= LABEL && left <= width) context.fillRect(left, y, Math.max(right - left, 1.5), thickness);
    };
    const top = Math.floor(box.scrollTop / ROW);
    const bottom = Math.min(top + Math.ceil(height / ROW) + 1, shown.length);
    for (let index = top; index < bottom; index += 1) {
      const [start, length, name, result, failed, attempts] = shown[index];
      const y = index * ROW - box.scrollTop;
      context.fillStyle = failed ? bad : text;
      context.fillText(`${failed ? "✗ " : ""}${data.names[name]}`, 0, y + ROW / 2, LABEL - 8);
      context.globalAlpha = attempts.length > 1 ? 0.35 : 1;
      context.fillStyle = failed ? bad : bar;
      slice(start, length, y + 4, ROW - 8);
      context.globalAlpha = 1;
      if (attempts.length > 1) {
        for (const [at, long, lost] of attempts) {
          context.fillStyle = lost ? bad : bar;
          slice(at, long, y + 6, ROW - 12);
        }
      }
      context.fillStyle = dim;
      const end = Math.max(position(start + length), LABEL) + 6;
      if (end < width - 40) context.fillText(`${shortly(length)} ${failed ? data.results[result] : ""}`, end, y + ROW / 2);
    }
    canvas.setAttribute("aria-label", `Calls from ${shortly(from)} to ${shortly(to)}; the table below has the same`);
  }

  form.addEventListener("input", () => { filter(); save(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  const actions = {
    in: () => zoom(0.5),
    out: () => zoom(2),
    all: () => { show(first, last); save(); },
    left: () => { show(from - (to - from) / 4, to - (to - from) / 4); save(); },
    right: () => { show(from + (to - from) / 4, to + (to - from) / 4); save(); },
  };
  for (const button of form.querySelectorAll("button")) button.addEventListener("click", actions[button.value]);
  const keys = { "+": "in", "-": "out", 0: "all", ArrowLeft: "left", ArrowRight: "right" };
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
