// N on a logarithmic scale: positions 0 to 1000 of a range input, and a number beside it.
export class Levels {
  constructor(root, [low, high], stops, onMove, onRest, say) {
    Object.assign(this, { low, high, stops, onMove, onRest, say });
    this.range = root.querySelector("#n-range");
    this.number = root.querySelector("#n-number");
    this.snaps = false; // to the values made ahead
    this.marks(root.querySelector(".marks"), [...root.querySelectorAll("#n-marks option")]);
    this.range.addEventListener("input", () => this.moved());
    this.range.addEventListener("change", () => this.onRest(this.value));
    this.range.addEventListener("keydown", (event) => this.key(event));
    this.number.addEventListener("change", () => this.typed());
    this.set(Number(this.number.value));
  }

  position(n) { return 1000 * Math.log(n / this.low) / Math.log(this.high / this.low); }

  at(position) { return this.low * (this.high / this.low) ** (position / 1000); }

  marks(box, options) {
    for (const option of options) {
      const n = Number(option.value);
      const share = this.position(n) / 1000;
      option.value = Math.round(1000 * share);
      const mark = document.createElement("span");
      mark.textContent = n;
      mark.style.left = `${100 * share}%`;
      box.append(mark);
    }
  }

  nearest(n) {
    return this.stops.reduce((a, b) => Math.abs(Math.log(b / n)) < Math.abs(Math.log(a / n)) ? b : a);
  }

  set(n) {
    this.value = n;
    this.number.value = n;
    this.range.value = Math.round(this.position(n));
    this.range.setAttribute("aria-valuetext", `N = ${n}`);
  }

  moved() {
    const wanted = this.at(Number(this.range.value));
    const n = this.snaps ? this.nearest(wanted) : Math.round(wanted);
    if (n === this.value) return;
    this.value = n;
    this.number.value = n;
    this.range.setAttribute("aria-valuetext", `N = ${n}`);
    this.onMove(n);
  }

  // A key goes to the next value made ahead, or 4 % further.
  key(event) {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -4, PageUp: 4 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const by = steps[event.key];
    let n;
    if (this.snaps) {
      const index = this.stops.indexOf(this.nearest(this.value)) + by;
      n = this.stops[Math.min(this.stops.length - 1, Math.max(0, index))];
    } else {
      n = Math.round(this.value * 1.04 ** by);
      if (n === this.value) n += Math.sign(by);
    }
    n = Math.min(this.high, Math.max(this.low, n));
    if (n === this.value) return;
    this.set(n);
    this.onMove(n);
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.onRest(this.value), 250);
  }

  typed() {
    const typed = Number(this.number.value);
    const n = Math.min(this.high, Math.max(this.low, Math.round(typed || this.value)));
    const wrong = !this.number.value || n !== typed;
    this.set(n);
    this.onMove(n);
    if (wrong) this.say(`N is a whole number from ${this.low} to ${this.high} here; ${n} is taken.`);
    this.onRest(n);
  }
}
