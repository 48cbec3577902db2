// The control for a column of numbers.

import { make, typed, whole } from "./page.js";

const STEPS = 200; // places of a slider over many numbers

/** Two numbers, a histogram and two sliders over it. Empty numbers leave a side open. */
export class Range {
  constructor({ key, low, high, whole: ints, bins, from, to }, choose) {
    Object.assign(this, { low, high, ints, choose });
    this.steps = ints && high - low <= STEPS ? Math.max(1, high - low) : STEPS;
    this.from = this.number(`${key} from`, `from-${key}`, from, low);
    this.to = this.number(`${key} to`, `to-${key}`, to, high);
    this.left = this.slider(`${key}: lower end`, `left-${key}`, from === "" ? 0 : this.place(from), this.from, 0);
    this.right = this.slider(`${key}: upper end`, `right-${key}`, to === "" ? this.steps : this.place(to), this.to, this.steps);
    this.bars = this.histogram(bins);
    this.element = make(
      "div",
      { class: "chroma-nb-range" },
      this.bars,
      make("div", { class: "chroma-nb-sliders" }, make("div", { class: "chroma-nb-track" }), this.left, this.right),
      make("div", { class: "chroma-nb-ends" }, this.from, make("span", { class: "chroma-nb-muted" }, "to"), this.to),
    );
    this.paint();
  }

  number(label, focus, value, hint) {
    const input = make("input", {
      type: "text", inputmode: "decimal", class: "chroma-nb-input", "aria-label": label, placeholder: this.shown(hint), "data-focus": focus, value,
    });
    return typed(input, () => this.choose(this.from.value, this.to.value));
  }

  slider(label, focus, value, number, open) {
    const slide = (event) => {
      const at = Number(event.target.value);
      number.value = at === open ? "" : this.shown(this.value(at));
      this.paint();
    };
    return make("input", {
      type: "range", min: 0, max: this.steps, step: 1, value, "aria-label": label, "aria-valuetext": number.value || number.placeholder, "data-focus": focus,
      on: {
        input: (event) => { this.apart(event.target); slide(event); },
        change: () => this.choose(this.from.value, this.to.value),
      },
    });
  }

  /** Keep the thumbs from passing one another. */
  apart(moved) {
    if (moved === this.left) this.left.value = Math.min(Number(this.left.value), Number(this.right.value));
    else this.right.value = Math.max(Number(this.left.value), Number(this.right.value));
  }

  place(text) { return this.high > this.low ? Math.round(((Number(text) - this.low) / (this.high - this.low)) * this.steps) : 0; }

  value(at) {
    const value = this.low + ((this.high - this.low) * at) / this.steps;
    return this.ints ? Math.round(value) : value;
  }

  /** In as many digits as a step of the slider can tell apart. */
  shown(value) {
    if (this.ints || this.high <= this.low) return String(value);
    const digits = Math.max(0, Math.min(12, 1 - Math.floor(Math.log10((this.high - this.low) / STEPS))));
    return String(Number(value.toFixed(digits)));
  }

  histogram(bins) {
    const most = Math.max(1, ...bins);
    const box = make("div", { class: "chroma-nb-histogram", "aria-hidden": "true" });
    bins.forEach((count, at) => {
      const bar = make("span", { title: `${whole(count)}` });
      bar.style.height = count ? `${Math.max(4, (100 * count) / most)}%` : "0";
      box.append(bar);
    });
    return box;
  }

  /** Show what lies between the thumbs. */
  paint() {
    const [from, to] = [this.left.value / this.steps, this.right.value / this.steps];
    const bars = [...this.bars.children];
    bars.forEach((bar, at) => bar.classList.toggle("chroma-nb-out", (at + 1) / bars.length <= from || at / bars.length > to));
    this.left.style.zIndex = from > 0.5 ? 2 : 1; // where both are at one end, the one that can move lies on top
    this.left.parentElement?.style.setProperty("--from", from);
    this.left.parentElement?.style.setProperty("--to", to);
  }
}
