// One display of a map: toolbar, plot, overlay, legend and tooltip around a store. The plot draws the points.

import { make, Tooltip, watchTheme, whole } from "./dom.js";
import { Gestures } from "./gestures.js";
import { Legend } from "./legend.js";
import { OverlayCanvas } from "./overlay.js";

const TOOLS = [
  ["pan", "Pan", "P", "Drag to move, wheel to zoom; Shift-drag to lasso"],
  ["lasso", "Lasso", "L", "Draw around points; Shift adds, Alt removes"],
  ["box", "Box", "B", "Draw a box around points; Shift adds, Alt removes"],
];
const PAUSE = 60;
const PATIENCE = 700;
const REACH = 9;

export class MapView {
  constructor(store, Plot, host, height) {
    this.store = store;
    this.ending = new AbortController();
    this.tool = "pan";
    this.build(host);
    this.root.style.height = `${height}px`;
    this.tip = new Tooltip();
    this.plot = new Plot(store, this.stage, this);
    this.stage.append(this.canvas);
    this.over = new OverlayCanvas(store, this.canvas);
    this.gestures = new Gestures(this, this.stage, this.ending.signal);
    this.forget = store.listen((what, detail) => this.told(what, detail));
    watchTheme(() => this.refresh(), this.ending.signal);
    this.sizes = new ResizeObserver(() => { this.plot.resized(); this.stir(); });
    this.sizes.observe(this.stage);
    this.use("pan");
    this.told("show");
  }

  build(host) {
    this.root = make("div", "cnb-map", { tabindex: "0", role: "application", "data-lm-suppress-shortcuts": "true" });
    const bar = make("div", "cnb-bar", { role: "toolbar", "aria-label": "Map tools" });
    this.buttons = TOOLS.map(([tool, label, key, hint]) => {
      const button = make("button", "cnb-tool", { type: "button", title: `${hint} (${key})` }, label);
      button.dataset.tool = tool;
      button.addEventListener("click", () => this.use(tool));
      return button;
    });
    const home = make("button", "cnb-tool", { type: "button", title: "Show everything (R, or double-click)" }, "Reset");
    home.addEventListener("click", () => this.reset());
    this.others = make("button", "cnb-tool", { type: "button", title: "Show the other points faintly (C)" }, "Others");
    this.others.addEventListener("click", () => this.store.showContext(!this.store.context));
    this.clearer = make("button", "cnb-tool", { type: "button", title: "Select nothing (Escape)" }, "Clear");
    this.clearer.addEventListener("click", () => this.store.clear());
    this.count = make("span", "cnb-count", { role: "status" });
    bar.append(...this.buttons, home, this.others, this.clearer, this.count);
    this.stage = make("div", "cnb-stage");
    this.canvas = make("canvas", "cnb-over", { "aria-hidden": "true" });
    this.legend = new Legend(this.store);
    const body = make("div", "cnb-body");
    body.append(this.stage, this.legend.element);
    this.root.append(bar, body);
    host.append(this.root);
  }

  told(what, detail) {
    if (what === "close") return this.remove();
    if (what === "text") return this.tell(detail);
    if (what === "acknowledged" && detail === this.sent) this.drawing(null);
    if (what === "sent" && this.over.path) this.sent = detail;
    if (what === "show" || what === "all") { this.hover(null); this.drawing(null); }
    if (what === "paint" || what === "mark") this.hover(null);
    if (what !== "adopted") this.plot.update(what);
    this.status();
    if (["show", "all", "paint", "legend"].includes(what)) this.legend.draw();
    return this.stir();
  }

  status() {
    const { n, shown, chosen, pending, context } = this.store;
    const text = pending ? "drawing …" : `${whole(shown)} of ${whole(n)} shown` + (chosen ? ` · ${whole(chosen)} selected` : "");
    if (this.count.textContent !== text) this.count.textContent = text;
    this.clearer.hidden = chosen === 0;
    this.others.hidden = pending || shown === n;
    this.others.setAttribute("aria-pressed", String(context));
    this.root.setAttribute("aria-label", `Map of ${whole(n)} points. Keys: P pan, L lasso, B box, R reset, Escape clears.`);
  }

  use(tool) {
    this.tool = tool;
    this.stage.dataset.using = tool;
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
  }

  reset() { this.plot.reset(); this.stir(); }

  refresh() {
    this.inks = null;
    this.plot.update("theme");
    this.stir();
  }

  /** The colours of the theme, read from the page once. */
  get ink() {
    if (!this.inks) {
      const style = getComputedStyle(this.root);
      const read = (name) => style.getPropertyValue(`--cnb-${name}`).trim();
      this.inks = { text: style.color, halo: read("halo"), accent: read("accent"), star: read("star"), veil: read("veil"),
        faint: read("faint"), rim: read("rim"), font: style.fontFamily };
    }
    return this.inks;
  }

  /** Draw the overlay at the next frame, and for a while after, because a plot may move on its own. */
  stir(frames = this.plot.native ? 20 : 1) {
    this.frames = Math.max(this.frames ?? 0, frames);
    this.asked ??= requestAnimationFrame(() => {
      this.asked = null;
      this.frames -= 1;
      this.over.draw(this.plot.frame(), this.ink);
      if (this.frames > 0) this.stir(0);
    });
  }

  toData([x, y]) {
    const { ax, bx, ay, by } = this.plot.frame();
    return [(x - bx) / ax, (y - by) / ay];
  }

  pick(spot) {
    const frame = this.plot.frame();
    if (!frame || !this.store.n) return -1;
    const reach = Math.max(REACH, this.plot.dotSize() / 2 + 2);
    return this.store.nearest(...this.toData(spot), reach / Math.abs(frame.ax));
  }

  hover(spot) {
    const position = spot ? this.pick(spot) : -1;
    if (position === this.over.hovered && spot) return;
    clearTimeout(this.pausing);
    clearTimeout(this.patience);
    this.tip.hide();
    if (this.over.hovered !== position) { this.over.hovered = position; this.stir(1); }
    if (position < 0) return;
    this.pausing = setTimeout(() => this.ask(position), PAUSE);
  }

  ask(position) {
    if (this.store.text(position)) return this.tell(position);
    this.patience = setTimeout(() => {
      this.showTip(position, { title: "…", lines: [], body: "The kernel is busy; its answer is on the way." });
    }, PATIENCE);
    return undefined;
  }

  tell(position) {
    if (position !== this.over.hovered) return;
    clearTimeout(this.patience);
    this.showTip(position, this.store.text(position));
  }

  showTip(position, text) {
    const frame = this.plot.frame();
    const spot = frame && this.over.frame && this.over.spot(position);
    if (!spot || !text) return;
    const box = this.stage.getBoundingClientRect();
    this.tip.show(text, box.left + spot[0], box.top + spot[1], 12);
  }

  click(spot) {
    const position = this.pick(spot);
    if (position >= 0) this.store.click(position);
  }

  /** The outline that is being drawn, in pixels; null takes it away. */
  drawing(corners) {
    this.over.path = corners && { corners, waiting: false };
    this.stir(1);
  }

  lasso(corners, how) {
    this.over.path = { corners, waiting: true };
    this.store.lasso(corners.map((corner) => this.toData(corner)), how);
  }

  remove() {
    this.ending.abort();
    this.forget();
    this.sizes.disconnect();
    clearTimeout(this.pausing);
    clearTimeout(this.patience);
    if (this.asked) cancelAnimationFrame(this.asked);
    this.tip.remove();
    this.plot.remove();
    this.root.remove();
  }
}
