// The calls in columns, which of them are wanted, and how many were in progress at once. Times are in microseconds
// from the start of the run.

function summed(differences) {
  let sum = 0;
  return Float64Array.from(differences, (difference) => (sum += difference));
}

class Calls {
  // `data` is described in page_calls.py; texts are positions in one list, of which the first is empty.
  constructor({ texts, calls, attempts }) {
    this.texts = texts;
    this.start = summed(calls.start);
    this.end = this.start.map((start, call) => start + calls.length[call]);
    this.name = Uint32Array.from(calls.name);
    this.result = Uint32Array.from(calls.result);
    this.message = Uint32Array.from(calls.message);
    this.region = Uint32Array.from(calls.region);
    this.request = Uint32Array.from(calls.request);
    this.failed = Uint8Array.from(calls.failed);
    this.tries = Uint32Array.from(calls.tries);
    this.count = this.start.length;
    this.attempts = attempts;
    this.attemptsEnd = summed(calls.attempts);
    this.first = this.start[0];
    this.last = Math.max(this.end.reduce((most, end) => Math.max(most, end), 0), this.first + 1);
  }

  length(call) {
    return this.end[call] - this.start[call];
  }

  // The attempts of a call; there are none of calls that made one only.
  attemptsOf(call) {
    const found = [];
    for (let each = call ? this.attemptsEnd[call - 1] : 0; each < this.attemptsEnd[call]; each += 1) {
      const start = this.start[call] + this.attempts.start[each];
      const end = start + this.attempts.length[each];
      found.push({ start, end, result: this.texts[this.attempts.result[each]], failed: this.attempts.failed[each], pause: this.attempts.pause[each] });
    }
    return found;
  }

  // Those with the words in any of their texts, in order of start.
  matching({ words, least, onlyFailed }) {
    const has = this.texts.map((text) => text.toLowerCase().includes(words));
    const found = new Uint32Array(this.count);
    let count = 0;
    for (let call = 0; call < this.count; call += 1) {
      if (this.length(call) < least || (onlyFailed && !this.failed[call])) continue;
      if (has[this.name[call]] || has[this.result[call]] || has[this.message[call]] || has[this.region[call]] || has[this.request[call]]) found[count++] = call;
    }
    return found.subarray(0, count);
  }

  // Those of some that are in progress in an interval.
  within(some, from, to) {
    const found = new Uint32Array(some.length);
    let count = 0;
    for (const call of some) if (this.start[call] <= to && this.end[call] >= from) found[count++] = call;
    return found.subarray(0, count);
  }

  // Some of them by operation, the one with the longest total time first.
  lanes(some) {
    const lanes = new Map();
    for (const call of some) {
      const name = this.name[call];
      if (!lanes.has(name)) lanes.set(name, { name, calls: [], failed: 0, total: 0, longest: 0 });
      const lane = lanes.get(name);
      lane.calls.push(call);
      lane.failed += this.failed[call];
      lane.total += this.length(call);
      lane.longest = Math.max(lane.longest, this.length(call));
    }
    return [...lanes.values()].sort((a, b) => b.total - a.total);
  }

  // How many of some were in progress from each time on until the next.
  concurrency(some) {
    const starts = Float64Array.from(some, (call) => this.start[call]).sort();
    const ends = Float64Array.from(some, (call) => Math.max(this.end[call], this.start[call] + 1)).sort();
    const [times, counts] = [new Float64Array(some.length * 2), new Uint32Array(some.length * 2)];
    let [begun, most] = [0, 0];
    for (let ended = 0; ended < ends.length; ) {
      const position = begun + ended;
      if (begun < starts.length && starts[begun] < ends[ended]) times[position] = starts[begun++];
      else times[position] = ends[ended++];
      counts[position] = begun - ended;
      most = Math.max(most, begun - ended);
    }
    return { times, counts, most };
  }
}

// The first position in sorted times that is later than a time.
function firstAfter(times, time) {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

const MINUTE = 6e7;
const STEPS = [15, 30].map((seconds) => seconds * 1e6).concat([1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1440].map((minutes) => minutes * MINUTE));

// Round times within an interval, at most so many.
function ticks(from, to, most) {
  const least = (to - from) / Math.max(most, 1);
  const power = 10 ** Math.floor(Math.log10(least));
  const decimal = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= least);
  const step = Math.max(decimal <= 1e7 ? decimal : STEPS.find((each) => each >= least) ?? decimal, 1);
  const times = [];
  for (let number = Math.ceil(from / step); number * step <= to; number += 1) times.push(number * step);
  return { step, times };
}

const padded = (number) => String(number).padStart(2, "0");

// A time with as many digits as distinguish the steps of an axis.
function tickText(time, step) {
  const sign = time < 0 ? "-" : "";
  const size = Math.abs(time);
  if (step >= 15e6) {
    const [minutes, seconds] = [Math.floor(size / MINUTE), Math.round((size % MINUTE) / 1e6)];
    return sign + (minutes < 60 ? `${minutes}:${padded(seconds)} min` : `${Math.floor(minutes / 60)}:${padded(minutes % 60)} h`);
  }
  const [unit, name] = step >= 1e5 || size >= 1e7 ? [1e6, "s"] : [1e3, "ms"];
  const digits = Math.max(0, Math.ceil(-Math.log10(step / unit) - 1e-9));
  return `${sign}${(size / unit).toFixed(digits)} ${name}`;
}

// A length for a person.
function lengthText(time) {
  if (time < 0) return `-${lengthText(-time)}`;
  if (time < 1e6) return `${(time / 1e3).toFixed(time < 1e4 && time % 1e3 ? 1 : 0)} ms`;
  if (time < MINUTE) return `${(time / 1e6).toFixed(2)} s`;
  const minutes = Math.floor(time / MINUTE);
  return minutes < 60 ? `${minutes} min ${Math.floor((time % MINUTE) / 1e6)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
