// Small pieces of the page. Text goes in as text, never as HTML.

/** An element with a class, attributes and text. */
export function make(tag, className = "", attributes = {}, text = null) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== null) element.textContent = text;
  return element;
}

export function whole(number) { return number.toLocaleString("en-US"); }

/** A number of a scale in few digits. */
export function short(number) {
  if (number === null || number === undefined) return "";
  if (Number.isInteger(number) && Math.abs(number) < 1e7) return String(number);
  return String(Number(number.toPrecision(4)));
}

/** Call back whenever the notebook or the system turns light or dark. */
export function watchTheme(callback, signal) {
  const observer = new MutationObserver(callback);
  for (const root of [document.documentElement, document.body]) {
    observer.observe(root, { attributes: true, attributeFilter: ["class", "data-jp-theme-light", "data-jp-theme-name"] });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", callback, { signal });
  signal.addEventListener("abort", () => observer.disconnect());
}

const parsed = new Map();

/** A CSS colour as [r, g, b, a], each 0 .. 1. */
export function rgba(colour) {
  if (!parsed.has(colour)) {
    const context = make("canvas", "", { width: 1, height: 1 }).getContext("2d");
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    parsed.set(colour, [...context.getImageData(0, 0, 1, 1).data].map((part) => part / 255));
  }
  return parsed.get(colour);
}

/** The text of the point under the pointer, over everything and never beyond the window's edge. */
export class Tooltip {
  constructor() {
    this.box = make("div", "cnb-tip", { role: "tooltip" });
    this.box.hidden = true;
    document.body.append(this.box);
  }

  show(text, x, y, gap) {
    const parts = [make("div", "cnb-tip-title", {}, text.title)];
    if (text.lines.length) {
      const pairs = make("dl", "cnb-tip-pairs");
      for (const [name, value] of text.lines) pairs.append(make("dt", "", {}, name), make("dd", "", {}, value));
      parts.push(pairs);
    }
    if (text.body) parts.push(make("div", "cnb-tip-body", {}, text.body));
    this.box.replaceChildren(...parts);
    this.box.hidden = false;
    this.place(x, y, gap);
  }

  /** Beside a point of the window: to its right and below where there is room. */
  place(x, y, gap) {
    const { offsetWidth: width, offsetHeight: height } = this.box;
    const right = x + gap + width <= innerWidth - 4;
    const below = y + gap + height <= innerHeight - 4;
    const left = right ? x + gap : x - gap - width;
    const top = below ? y + gap : y - gap - height;
    this.box.style.left = `${Math.max(4, Math.min(left, innerWidth - width - 4))}px`;
    this.box.style.top = `${Math.max(4, Math.min(top, innerHeight - height - 4))}px`;
  }

  hide() { this.box.hidden = true; }

  remove() { this.box.remove(); }
}
