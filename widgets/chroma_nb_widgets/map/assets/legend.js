// The legend: what the colours mean, and switches for each of them.

import { make, short, whole } from "./dom.js";

export class Legend {
  constructor(store) {
    this.store = store;
    this.element = make("div", "cnb-legend", { role: "group", "aria-label": "Legend" });
  }

  draw() {
    const { kind, label, legend } = this.store.colours;
    this.element.hidden = kind === "none" && legend.length === 0;
    const kept = this.element.querySelector(".cnb-keys")?.scrollTop ?? 0;
    const focused = this.element.contains(document.activeElement) ? document.activeElement.dataset.code : null;
    const head = make("div", "cnb-legend-head");
    head.append(make("span", "cnb-legend-title", { title: label }, label));
    if (this.store.hidden.size) head.append(this.allButton());
    const parts = [head];
    if (kind === "continuous") parts.push(this.scale());
    const keys = make("div", "cnb-keys");
    keys.append(...legend.map((entry) => this.key(entry)));
    if (legend.length) parts.push(keys);
    this.element.replaceChildren(...parts);
    keys.scrollTop = kept;
    if (focused !== null) this.element.querySelector(`[data-code="${focused}"]`)?.focus();
  }

  allButton() {
    const button = make("button", "cnb-all", { type: "button", title: "Show all values again" }, "all");
    button.addEventListener("click", () => this.store.toggle([]));
    return button;
  }

  key(entry) {
    const shown = !this.store.hidden.has(entry.code);
    const button = make("button", "cnb-key", {
      type: "button", role: "switch", "aria-checked": String(shown), "data-code": entry.code,
      title: `${entry.text}\nClick: hide or show. Shift-click: show nothing else.`,
    });
    const swatch = make("span", "cnb-swatch");
    swatch.style.setProperty("--cnb-colour", entry.colour);
    button.append(swatch, make("span", "cnb-key-text", {}, entry.text));
    button.append(make("span", "cnb-key-count", {}, whole(entry.count)));
    button.addEventListener("click", (event) => this.store.toggle(this.after(entry.code, event.shiftKey)));
    return button;
  }

  /** The codes that are off once one was toggled, or once everything but that one was. */
  after(code, alone) {
    const { hidden, colours } = this.store;
    if (!alone) return hidden.has(code) ? [...hidden].filter((other) => other !== code) : [...hidden, code];
    const others = colours.legend.map((entry) => entry.code).filter((other) => other !== code);
    return others.every((other) => hidden.has(other)) && !hidden.has(code) ? [] : others;
  }

  scale() {
    const { palette, low, high } = this.store.colours;
    const scale = make("div", "cnb-scale");
    const bar = make("div", "cnb-scale-bar", { role: "img", "aria-label": `from ${short(low)} to ${short(high)}` });
    const stops = palette.length > 1 ? palette : [palette[0], palette[0]];
    bar.style.background = `linear-gradient(to top, ${stops.join(", ")})`;
    const ends = make("div", "cnb-scale-ends");
    const middle = low !== null && high !== null ? (low + high) / 2 : null;
    for (const value of [high, middle, low]) ends.append(make("span", "", {}, short(value)));
    scale.append(bar, ends);
    return scale;
  }
}
