// The points as a plotly figure, whose own widget is put below the overlay. The figure's traces tell which points are
// where: each carries their positions as customdata, and layout.meta tells the epoch.

import { make } from "./dom.js";
import { context } from "./gl_program.js";
import { hear } from "./hearing.js";

// In tenths of a second, before a figure counts as stuck.
const MISSES = 25;
const PICKABLE = ["plain", "chosen"];

export class PlotlyPlot {
  native = true;
  misses = 0;

  constructor(store, stage, view) {
    this.store = store;
    this.view = view;
    this.stage = stage;
    this.host = make("div", "cnb-figure");
    stage.append(this.host);
    const probe = store.model.get("webgl") ? context(make("canvas")) : null;
    if (store.model.get("webgl") && !probe) this.fail("this browser has no WebGL");
    else this.mount();
    probe?.getExtension("WEBGL_lose_context")?.loseContext();
  }

  fail(reason) {
    this.mounting = true;
    this.host.append(make("div", "cnb-message", { role: "alert" }, `Cannot draw the map here: ${reason}.`));
    this.store.send({ kind: "unsupported", reason });
  }

  async mount() {
    const { store } = this;
    if (this.mounting || !store.figure) return;
    this.mounting = true;
    const manager = store.model.widget_manager;
    this.figure = await manager.get_model(store.figure);
    this.inner = await manager.create_view(this.figure);
    if (this.removed) {
      this.inner.remove();
      return;
    }
    this.host.append(this.inner.el);
    this.watcher = new MutationObserver(() => this.find());
    this.watcher.observe(this.host, { childList: true, subtree: true, attributes: true, attributeFilter: ["class"] });
    this.find();
  }

  /** Plotly fills its element some time after the view is there. */
  find() {
    const plot = this.host.querySelector(".js-plotly-plot");
    if (!plot?.on || !plot._fullLayout) return;
    this.watcher.disconnect();
    this.plot = plot;
    plot.on("plotly_afterplot", () => this.read());
    plot.on("plotly_relayouting", () => this.view.stir());
    this.resized();
    this.announce();
    this.read();
  }

  /** Plotly follows the window's size only, and not before its first picture is finished. */
  resized(tries = 10) {
    if (!this.plot) return;
    clearTimeout(this.resizing);
    this.resizing = setTimeout(() => {
      const { width, height } = this.plot._fullLayout;
      if (Math.abs(width - this.stage.clientWidth) < 1 && Math.abs(height - this.stage.clientHeight) < 1) return;
      dispatchEvent(new Event("resize"));
      if (tries) this.resized(tries - 1);
    }, 100);
  }

  update(what) {
    this.mount();
    if (what === "theme" || what === "show") this.announce();
    this.read();
  }

  /** Tell the kernel, which colours the rims, whether the page is dark. */
  announce() {
    if (!this.plot) return;
    const [red, green, blue] = (getComputedStyle(this.view.root).color.match(/[\d.]+/g) ?? [0, 0, 0]).map(Number);
    this.store.send({ kind: "theme", dark: red + green + blue > 384 });
  }

  /** Learn from the traces what is drawn where, once plotly and the store speak of the same points. */
  read() {
    const { store, plot } = this;
    if (!plot?._fullLayout || store.epoch < 0) return;
    const { epoch = -1, drawing = -1 } = plot.layout.meta ?? {};
    if (epoch !== store.epoch || drawing < store.drawing) {
      this.reread();
      return;
    }
    this.misses = 0;
    const layers = [store.epoch, ...plot.data.map((trace) => trace.x)];
    if (this.known?.length === layers.length && layers.every((layer, i) => layer === this.known[i])) return;
    this.known = layers;
    const xy = new Float32Array(2 * store.n).fill(NaN);
    const visible = new Uint8Array(store.n), selected = new Uint8Array(store.n);
    for (const trace of plot.data) {
      (trace.customdata ?? []).forEach((position, i) => {
        xy[2 * position] = trace.x[i];
        xy[2 * position + 1] = trace.y[i];
        visible[position] = PICKABLE.includes(trace.name) ? 1 : 0;
        selected[position] = trace.name === "chosen" ? 1 : 0;
      });
    }
    store.adopt(xy, visible, selected);
  }

  /** The figure's messages and ours come on different ways, and not every change of it is followed by a picture. */
  reread() {
    clearTimeout(this.rereading);
    this.rereading = setTimeout(() => this.read(), 100);
    this.misses += 1;
    if (this.misses % MISSES === 0) this.heal();
  }

  /** What the figure was told did not reach it: see to it that it hears, and have it told again. */
  heal() {
    hear(this.figure);
    this.store.send({ kind: "redraw" });
  }

  frame() {
    const layout = this.plot?._fullLayout;
    if (!layout?.xaxis?._length) return null;
    const { xaxis, yaxis } = layout;
    const [left, right] = xaxis.range, [low, high] = yaxis.range;
    const ax = xaxis._length / (right - left), ay = -yaxis._length / (high - low);
    return { ax, bx: xaxis._offset - ax * left, ay, by: yaxis._offset + yaxis._length - ay * low };
  }

  dotSize() { return 8; }

  press(title) { this.plot?.querySelector(`.modebar-btn[data-title="${title}"]`)?.dispatchEvent(new MouseEvent("click")); }

  reset() { this.press("Autoscale"); }

  zoomBy(factor) { this.press(factor > 1 ? "Zoom in" : "Zoom out"); }

  remove() {
    this.removed = true;
    this.watcher?.disconnect();
    clearTimeout(this.resizing);
    clearTimeout(this.rereading);
    this.inner?.remove();
    this.host.remove();
  }
}
