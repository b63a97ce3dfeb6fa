// The waterfall on its canvas: above a chart of the calls in progress and an axis, below a row for each call or operation.

const ROW = 20; // pixels, as all that follow
const CHART = 44;
const AXIS = 20;
const HEADER = CHART + AXIS;
const TICK = 90; // the least distance between two ticks
const COLORS = ["back", "text", "dim", "line", "bad", "bar", "chosen"];

class Drawing {
  constructor(canvas, calls) {
    this.canvas = canvas;
    this.calls = calls;
    this.context = canvas.getContext("2d");
    this.restyle();
  }

  restyle() {
    const style = getComputedStyle(this.canvas);
    this.colors = Object.fromEntries(COLORS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    this.font = `12px ${style.fontFamily}`;
    this.fitted = new Map(); // texts that are cut
  }

  // Adapts to the size on the screen; from here on times have positions.
  begin({ from, to }) {
    const { canvas, context } = this;
    const ratio = devicePixelRatio || 1;
    [this.width, this.height] = [canvas.clientWidth, canvas.clientHeight];
    const [width, height] = [Math.round(this.width * ratio), Math.round(this.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) {
      [canvas.width, canvas.height] = [width, height];
      this.fitted.clear();
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    context.font = this.font;
    context.textBaseline = "middle";
    this.label = Math.min(240, Math.round(this.width * 0.4));
    [this.from, this.to] = [from, to];
    this.scale = (this.width - this.label) / (to - from);
    this.axis = ticks(from, to, Math.floor((this.width - this.label) / TICK));
    for (const time of this.axis.times) this.fill("line", this.x(time), 0, 1, this.height);
  }

  x(time) {
    return this.label + (time - this.from) * this.scale;
  }

  timeAt(x) {
    return this.from + (Math.min(Math.max(x, this.label), this.width) - this.label) / this.scale;
  }

  fill(color, x, y, width, height) {
    this.context.fillStyle = this.colors[color];
    this.context.fillRect(x, y, width, height);
  }

  slice(color, start, end, y, height) {
    const [left, right] = [Math.max(this.x(start), this.label), Math.min(this.x(end), this.width)];
    if (start <= this.to && end >= this.from) this.fill(color, Math.min(left, this.width - 1.5), y, Math.max(right - left, 1.5), height);
  }

  write(color, text, x, y) {
    this.context.fillStyle = this.colors[color];
    this.context.fillText(text, x, y);
  }

  // Writes to the left of the axis, cut to the room that is there.
  writeLabel(color, text, y) {
    if (!this.fitted.has(text)) {
      const isTooLong = (shown) => this.context.measureText(shown).width > this.label - 12;
      const letters = [...text];
      while (letters.length && isTooLong(`${letters.join("")}…`)) letters.pop();
      this.fitted.set(text, isTooLong(text) ? `${letters.join("")}…` : text);
    }
    this.write(color, this.fitted.get(text), 4, y);
  }

  row(y, isChosen) {
    if (!isChosen) return;
    this.fill("chosen", 0, y, this.width, ROW);
    this.context.strokeStyle = this.colors.bar;
    this.context.strokeRect(0.5, y + 0.5, this.width - 1, ROW - 1);
  }

  call(call, y, isChosen) {
    const { calls } = this;
    const [start, end, failed] = [calls.start[call], calls.end[call], calls.failed[call]];
    const attempts = calls.attemptsOf(call);
    const color = failed ? "bad" : "bar";
    this.row(y, isChosen);
    this.writeLabel(failed ? "bad" : "text", `${failed ? "✗ " : ""}${calls.texts[calls.name[call]]}`, y + ROW / 2);
    this.context.globalAlpha = attempts.length ? 0.35 : 1;
    this.slice(color, start, end, y + 4, ROW - 8);
    this.context.globalAlpha = 1;
    for (const attempt of attempts) this.slice(attempt.failed ? "bad" : "bar", attempt.start, attempt.end, y + 6, ROW - 12);
    const text = `${lengthText(end - start)}${failed ? ` ${calls.texts[calls.result[call]]}` : ""}`;
    const size = this.context.measureText(text).width;
    const [left, right] = [Math.max(this.x(start), this.label), Math.max(this.x(end), this.label + 1.5)];
    if (right + 6 + size <= this.width) this.write("dim", text, right + 6, y + ROW / 2);
    else if (left - 6 - size >= this.label) this.write("dim", text, left - 6 - size, y + ROW / 2);
  }

  lane(lane, y, isChosen) {
    this.row(y, isChosen);
    const number = lane.calls.length.toLocaleString("en");
    this.writeLabel("text", `${this.calls.texts[lane.name]} ×${number}`, y + ROW / 2);
    this.context.globalAlpha = 0.7;
    this.slices(lane.calls, 0, "bar", y + 4, ROW - 8);
    this.context.globalAlpha = 1;
    if (lane.failed) this.slices(lane.calls, 1, "bad", y + 2, ROW - 4);
  }

  // Draws calls in order of start, without those that others of them hide.
  slices(some, failed, color, y, height) {
    const { start, end, failed: hasFailed } = this.calls;
    let drawn = -1;
    for (const call of some) {
      if (start[call] > this.to) break;
      const right = this.x(end[call]);
      if (hasFailed[call] !== failed || right <= drawn) continue;
      this.slice(color, Math.max(start[call], this.timeAt(drawn)), end[call], y, height);
      drawn = Math.max(right, Math.floor(this.x(start[call])) + 1.5);
    }
  }

  // Draws the chart and the axis over what of the rows is behind them.
  header({ times, counts, most }) {
    this.fill("back", 0, 0, this.width, HEADER);
    const heightOf = (count) => (count / most) * (CHART - 6);
    const column = (x, width, count) => { if (count && width > 0) this.fill("bar", x, CHART - heightOf(count), width, heightOf(count)); };
    // a column of pixels has the most of the counts in it; between two columns with changes the count is the same
    let at = firstAfter(times, this.from);
    let count = at ? counts[at - 1] : 0;
    let [pixel, highest] = [this.label, count];
    for (; at < times.length && times[at] <= this.to; at += 1) {
      const x = Math.floor(this.x(times[at]));
      if (x !== pixel) {
        column(pixel, 1, highest);
        column(pixel + 1, x - pixel - 1, count);
        [pixel, highest] = [x, count];
      }
      count = counts[at];
      highest = Math.max(highest, count);
    }
    column(pixel, 1, highest);
    column(pixel + 1, this.width - pixel - 1, count);
    this.writeLabel("dim", `Calls at once, at most ${most.toLocaleString("en")}`, CHART / 2 + 4);
    this.fill("line", 0, CHART, this.width, 1);
    this.fill("line", 0, HEADER - 1, this.width, 1);
    for (const time of this.axis.times) {
      const text = tickText(time, this.axis.step);
      this.fill("line", this.x(time), CHART, 1, AXIS);
      const x = this.x(time) + 4;
      if (x + this.context.measureText(text).width <= this.width) this.write("dim", text, x, CHART + AXIS / 2 + 1);
    }
  }

  // Marks the interval that is being selected.
  selection([start, end]) {
    this.context.globalAlpha = 0.25;
    this.slice("bar", Math.min(start, end), Math.max(start, end), 0, this.height);
    this.context.globalAlpha = 1;
  }
}
