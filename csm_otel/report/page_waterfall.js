// The waterfall: which part of it is seen, what is chosen in it, and how both are changed. Its state is in the fragment.

class Waterfall {
  constructor(section, calls) {
    this.calls = calls;
    [this.box, this.canvas, this.spacer, this.form, this.output, this.details, this.hint] =
      [".plot", "canvas", ".spacer", "form", "output", ".details dl", ".details p"].map((one) => section.querySelector(one));
    this.fields = this.form.elements;
    this.drawing = new Drawing(this.canvas, calls);
    this.chosen = null; // the number of a call, or the name of an operation
    this.selection = null; // the two ends of an interval, while it is drawn
    this.listed = [];
    this.height = -1; // of all rows
    this.listen();
    section.hidden = false;
    this.restore();
  }

  get isByOperation() {
    return this.fields.view.value === "operation";
  }

  // --- what is seen ---

  filter() {
    const { calls, fields } = this;
    this.wanted = calls.matching({
      words: fields.search.value.trim().toLowerCase(),
      least: (parseFloat(fields.minimum.value) || 0) * 1e3,
      onlyFailed: fields.failed.checked,
    });
    this.concurrency = calls.concurrency(this.wanted);
    this.show(this.from, this.to);
  }

  show(from, to) {
    const { first, last } = this.calls;
    const length = Math.min(Math.max(to - from, 10), last - first);
    this.from = Math.min(Math.max(from, first), last - length);
    this.to = this.from + length;
    this.isStale = true;
    this.draw();
  }

  zoom(factor, at = (this.from + this.to) / 2) {
    this.show(at - (at - this.from) * factor, at + (this.to - at) * factor);
    this.save();
  }

  pan(by) {
    this.show(this.from + by, this.to + by);
    this.save();
  }

  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.paint();
    });
  }

  // The calls, or the operations, that are seen.
  get rows() {
    if (this.isStale) this.list();
    return this.listed;
  }

  // Makes the list of rows. What was on top stays there, so that rows keep their places as long as they are seen.
  list() {
    const { box } = this;
    this.isStale = false;
    const top = Math.floor(box.scrollTop / ROW);
    const anchor = top ? this.keyAt(top) : null;
    const seen = this.calls.within(this.wanted, this.from, this.to);
    this.listed = this.isByOperation ? this.calls.lanes(seen) : seen;
    const height = HEADER + this.rows.length * ROW;
    if (height !== this.height) this.spacer.style.height = `${Math.max(height - box.clientHeight, 0)}px`;
    this.height = height;
    if (anchor !== null) box.scrollTop += (this.indexOf(anchor, true) - top) * ROW;
    this.output.textContent = `${seen.length.toLocaleString("en")} of ${this.calls.count.toLocaleString("en")} calls`;
  }

  paint() {
    const { drawing, box, rows } = this;
    if (!box.clientWidth) return; // on paper
    const scrolled = box.scrollTop;
    drawing.begin(this);
    const top = Math.floor(scrolled / ROW);
    const bottom = Math.min(top + Math.ceil(drawing.height / ROW) + 1, rows.length);
    for (let index = top; index < bottom; index += 1) {
      const y = HEADER + index * ROW - scrolled;
      const isChosen = this.keyAt(index) === this.chosen;
      if (this.isByOperation) drawing.lane(rows[index], y, isChosen);
      else drawing.call(rows[index], y, isChosen);
    }
    drawing.header(this.concurrency);
    if (this.selection) drawing.selection(this.selection);
  }

  // --- rows: their keys are what is chosen ---

  keyAt(index) {
    const row = this.rows[index];
    return row === undefined ? null : this.isByOperation ? row.name : row;
  }

  // The position of a row, -1 if it is not seen; `isNearest`: else of the next one.
  indexOf(key, isNearest = false) {
    if (this.isByOperation) return Math.max(this.rows.findIndex((lane) => lane.name === key), isNearest ? 0 : -1);
    const index = firstAfter(this.rows, key - 1); // numbers of calls are in order
    return isNearest || this.rows[index] === key ? index : -1;
  }

  choose(key) {
    this.chosen = key;
    this.describe();
    this.draw();
    this.save();
  }

  // Chooses the row that is so many further on, and scrolls to it.
  move(by) {
    const { box, rows } = this;
    if (!rows.length) return;
    const now = this.chosen === null ? -1 : this.indexOf(this.chosen);
    const start = now < 0 ? Math.ceil(box.scrollTop / ROW) - Math.sign(by) : now;
    const index = Math.min(Math.max(start + by, 0), rows.length - 1);
    const room = box.clientHeight - HEADER;
    box.scrollTop = Math.min(Math.max(box.scrollTop, (index + 1) * ROW - room), index * ROW);
    this.choose(this.keyAt(index));
  }

  // Zooms to the chosen call, or lists the calls of the chosen operation.
  open() {
    const { calls, chosen } = this;
    if (chosen === null) return;
    if (this.isByOperation) {
      this.fields.search.value = calls.texts[chosen];
      this.fields.view.value = "time";
      this.chosen = null;
      this.filter();
      this.describe();
    } else {
      const around = Math.max(calls.length(chosen) / 4, 500);
      this.show(calls.start[chosen] - around, calls.end[chosen] + around);
    }
    this.save();
  }

  // --- the details of what is chosen, or below the pointer ---

  describe(hovered = null) {
    const facts = [];
    if (hovered !== null) facts.push(...this.factsOfCall(hovered));
    else if (this.chosen !== null) facts.push(...(this.isByOperation ? this.factsOfLane() : this.factsOfCall(this.chosen)));
    const elements = facts.filter(([, value]) => value).flatMap(([name, value]) => {
      const [term, text] = [document.createElement("dt"), document.createElement("dd")];
      [term.textContent, text.textContent] = [name, value];
      return [term, text];
    });
    this.details.replaceChildren(...elements);
    this.hint.hidden = facts.length > 0;
  }

  factsOfCall(call) {
    const { calls } = this;
    const text = (column) => calls.texts[column[call]];
    const attempts = calls.attemptsOf(call).map(({ start, end, result, pause }, index) =>
      `${index + 1}: ${[result, lengthText(end - start)].filter(Boolean).join(", ")}${pause ? `, then ${lengthText(pause)} back-off` : ""}`);
    return [
      ["Operation", text(calls.name)],
      ["Start", `${calls.start[call] < 0 ? "" : "+"}${lengthText(calls.start[call])}`],
      ["Time", lengthText(calls.length(call))],
      ["Result", text(calls.result)],
      ["Attempts", `${calls.tries[call]}${attempts.length ? ` (${attempts.join("; ")})` : ""}`],
      ["Message", text(calls.message)],
      ["Region", text(calls.region)],
      ["Request id", text(calls.request)],
    ];
  }

  factsOfLane() {
    const lane = this.rows[this.indexOf(this.chosen)];
    if (!lane) return [];
    return [
      ["Operation", this.calls.texts[lane.name]],
      ["Calls", lane.calls.length.toLocaleString("en")],
      ["Failed", lane.failed.toLocaleString("en")],
      ["Longest", lengthText(lane.longest)],
      ["Total", lengthText(lane.total)],
    ];
  }

  // The call at a point, or null.
  callAt({ offsetX, offsetY }) {
    const row = offsetY < HEADER ? undefined : this.rows[Math.floor((offsetY - HEADER + this.box.scrollTop) / ROW)];
    if (row === undefined || !this.isByOperation) return row ?? null;
    const { start, end, failed } = this.calls;
    const [from, to] = [this.drawing.timeAt(offsetX - 2), this.drawing.timeAt(offsetX + 2)];
    const there = row.calls.filter((call) => start[call] <= to && end[call] >= from);
    return there.find((call) => failed[call]) ?? there[0] ?? null;
  }

  // --- the state in the fragment ---

  restore() {
    const { fields, calls } = this;
    const state = new URLSearchParams(location.hash.slice(1));
    const number = (name, otherwise) => (state.has(name) && Number.isFinite(+state.get(name)) ? +state.get(name) : otherwise);
    fields.search.value = state.get("search") ?? "";
    fields.minimum.value = state.get("minimum") ?? "";
    fields.failed.checked = state.get("failed") === "1";
    fields.view.value = state.get("view") === "operation" ? "operation" : "time";
    [this.from, this.to] = [number("from", calls.first), number("to", calls.last)];
    this.filter();
    this.chosen = number("row", null);
    const index = this.chosen === null ? -1 : this.indexOf(this.chosen);
    if (index < 0) this.chosen = null;
    else this.box.scrollTop = index * ROW - this.box.clientHeight / 2;
    this.describe();
  }

  save() {
    clearTimeout(this.saving);
    this.saving = setTimeout(() => {
      const { fields, calls, from, to, chosen } = this;
      const state = new URLSearchParams();
      if (fields.search.value) state.set("search", fields.search.value);
      if (fields.minimum.value) state.set("minimum", fields.minimum.value);
      if (fields.failed.checked) state.set("failed", "1");
      if (this.isByOperation) state.set("view", "operation");
      if (from > calls.first || to < calls.last) {
        state.set("from", Math.round(from));
        state.set("to", Math.round(to));
      }
      if (chosen !== null) state.set("row", chosen);
      history.replaceState(null, "", `#${state}`);
      this.canvas.setAttribute("aria-label", `From ${lengthText(from)} to ${lengthText(to)}: ${this.output.textContent}`);
    }, 200);
  }

  // --- what the user does ---

  listen() {
    const { form, box, canvas } = this;
    const page = () => Math.max(Math.floor((box.clientHeight - HEADER) / ROW) - 1, 1);
    const quarter = () => (this.to - this.from) / 4;
    const actions = {
      in: () => this.zoom(0.5),
      out: () => this.zoom(2),
      all: () => this.zoom(Infinity),
      left: () => this.pan(-quarter()),
      right: () => this.pan(quarter()),
      Enter: () => this.open(),
      ArrowUp: () => this.move(-1),
      ArrowDown: () => this.move(1),
      PageUp: () => this.move(-page()),
      PageDown: () => this.move(page()),
      Home: () => this.move(-Infinity),
      End: () => this.move(Infinity),
      Escape: () => this.choose(null),
    };
    const keys = { "+": "in", "=": "in", "-": "out", 0: "all", ArrowLeft: "left", ArrowRight: "right" };
    form.addEventListener("input", (event) => {
      if (event.target === this.fields.view) this.chosen = null;
      box.scrollTop = 0;
      this.filter();
      this.describe();
      this.save();
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    for (const button of form.querySelectorAll("button")) button.addEventListener("click", actions[button.value]);
    box.addEventListener("keydown", (event) => {
      const action = actions[keys[event.key] ?? event.key];
      if (event.ctrlKey || event.metaKey || event.altKey || !action) return;
      event.preventDefault();
      action();
    });
    box.addEventListener("wheel", (event) => {
      const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
      if (!event.ctrlKey && Math.abs(sideways) < Math.abs(event.deltaY) && !event.shiftKey) return; // scrolls the rows
      event.preventDefault();
      if (event.ctrlKey) this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.drawing.timeAt(event.offsetX));
      else this.pan(sideways / this.drawing.scale);
    }, { passive: false });
    box.addEventListener("scroll", () => this.draw());
    this.listenToPointer(canvas);
    new ResizeObserver(() => { this.height = -1; this.isStale = true; this.draw(); }).observe(box);
    addEventListener("hashchange", () => this.restore());
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", () => { this.drawing.restyle(); this.draw(); });
    }
  }

  // Dragging rows moves in time, dragging the chart or the axis selects the time to zoom to.
  listenToPointer(canvas) {
    let drag = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const at = this.drawing.timeAt(event.offsetX);
      drag = { x: event.offsetX, from: this.from, isSelection: event.offsetY < HEADER, at, hasMoved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!drag) {
        this.describe(this.callAt(event));
        return;
      }
      drag.hasMoved ||= Math.abs(event.offsetX - drag.x) > 3;
      if (!drag.hasMoved) return;
      if (drag.isSelection) {
        this.selection = [drag.at, this.drawing.timeAt(event.offsetX)];
        this.draw();
      } else {
        this.pan(drag.from + (drag.x - event.offsetX) / this.drawing.scale - this.from);
      }
    });
    canvas.addEventListener("pointerup", (event) => {
      if (this.selection) {
        const [start, end] = this.selection;
        this.show(Math.min(start, end), Math.max(start, end));
        this.save();
      } else if (drag && !drag.hasMoved && event.offsetY >= HEADER) {
        this.choose(this.keyAt(Math.floor((event.offsetY - HEADER + this.box.scrollTop) / ROW)));
      }
      [drag, this.selection] = [null, null];
    });
    canvas.addEventListener("pointercancel", () => { [drag, this.selection] = [null, null]; this.draw(); });
    canvas.addEventListener("pointerleave", () => this.describe());
    canvas.addEventListener("dblclick", () => this.open());
  }
}

const block = document.getElementById("data");
if (block) new Waterfall(document.getElementById("waterfall"), new Calls(JSON.parse(block.textContent)));
