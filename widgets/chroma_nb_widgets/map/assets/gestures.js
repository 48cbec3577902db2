// Pointer and keyboard: tools (pan, lasso, box), wheel, click, hover. What they mean is left to the view.

const STILL = 4;
const TOOL_KEYS = { p: "pan", l: "lasso", b: "box" };

export class Gestures {
  constructor(view, stage, signal) {
    this.view = view;
    this.stage = stage;
    this.drag = null;
    const on = (target, name, handler, options = {}) => target.addEventListener(name, handler, { signal, ...options });
    // In the capture phase: a plot below that has handlers of its own gets only what is left to it.
    on(stage, "pointerdown", (event) => this.down(event), { capture: true });
    on(stage, "mousedown", (event) => this.keepOurs(event), { capture: true });
    on(window, "pointermove", (event) => this.move(event), { capture: true });
    on(window, "pointerup", (event) => this.up(event), { capture: true });
    on(window, "pointercancel", () => this.cancel());
    on(stage, "pointerleave", () => view.hover(null));
    on(stage, "wheel", (event) => this.wheel(event), { passive: false });
    on(stage, "dblclick", () => { if (!this.native("pan")) view.reset(); });
    on(view.root, "keydown", (event) => this.key(event));
  }

  /** Whether the plot below handles this tool itself. */
  native(tool) { return this.view.plot.native && tool === "pan"; }

  spot(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  down(event) {
    if (event.button !== 0 || this.drag || !this.view.plot.frame()) return;
    const spot = this.spot(event);
    const tool = this.view.tool === "pan" && event.shiftKey ? "lasso" : this.view.tool;
    const how = event.altKey ? "remove" : event.shiftKey ? "add" : "replace";
    this.drag = { tool, how, start: spot, last: spot, corners: [spot], moved: false, ours: !this.native(tool) };
    this.view.hover(null);
    this.view.root.focus({ preventScroll: true });
    if (this.drag.ours) event.stopPropagation();
  }

  keepOurs(event) {
    if (!this.drag?.ours) return;
    event.stopPropagation();
    event.preventDefault();
  }

  move(event) {
    if (!this.drag) {
      if (event.buttons === 0 && this.stage.contains(event.target)) this.view.hover(this.spot(event));
      return;
    }
    const { drag } = this;
    const [x, y] = this.spot(event);
    drag.moved ||= Math.hypot(x - drag.start[0], y - drag.start[1]) >= STILL;
    if (!drag.moved) return;
    if (!drag.ours) this.view.stir();
    else if (drag.tool === "pan") this.view.plot.panBy(x - drag.last[0], y - drag.last[1]);
    else this.view.drawing(this.trace(drag, x, y));
    drag.last = [x, y];
  }

  trace(drag, x, y) {
    const [x0, y0] = drag.start;
    if (drag.tool === "box") drag.corners = [[x0, y0], [x, y0], [x, y], [x0, y]];
    else if (Math.hypot(x - drag.last[0], y - drag.last[1]) > 0) drag.corners.push([x, y]);
    return drag.corners;
  }

  up(event) {
    const { drag } = this;
    if (!drag) return;
    this.drag = null;
    if (!drag.moved) this.view.click(drag.start);
    else if (drag.ours && drag.tool !== "pan") this.view.lasso(this.trace(drag, ...this.spot(event)), drag.how);
    this.view.stir();
  }

  cancel() {
    this.drag = null;
    this.view.drawing(null);
  }

  wheel(event) {
    this.view.hover(null);
    this.view.stir();
    if (this.view.plot.native) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 33 : 1;
    this.view.plot.zoomBy(Math.exp(-event.deltaY * lines * 0.0018), this.spot(event));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const { view } = this;
    const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (TOOL_KEYS[key]) view.use(TOOL_KEYS[key]);
    else if (key === "c") view.store.showContext(!view.store.context);
    else if (key === "Escape") this.escape();
    else if (key === "r" || key === "0") view.reset();
    else if (key === "+" || key === "=") view.plot.zoomBy(1.5, null);
    else if (key === "-") view.plot.zoomBy(1 / 1.5, null);
    else if (steps[key] && event.target === view.root && !view.plot.native) view.plot.panBy(...steps[key]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  escape() {
    if (this.drag) this.cancel();
    else this.view.store.clear();
  }
}
