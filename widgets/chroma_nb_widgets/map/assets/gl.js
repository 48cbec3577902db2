// The points on a WebGL canvas. Data coordinates lie within -1 .. 1; up is positive.

import { make, rgba } from "./dom.js";
import { dotStyle, shuffled } from "./geometry.js";
import { context, program } from "./gl_program.js";

const MARGIN = 16;
const GLIDE = 800;
const SETTLE = 160;
const FEWEST = 60_000;

export class GlPlot {
  native = false;

  constructor(store, stage, view) {
    this.store = store;
    this.view = view;
    this.canvas = make("canvas", "cnb-gl", { role: "img", "aria-label": "Points" });
    stage.append(this.canvas);
    this.stage = stage;
    this.centre = [0, 0];
    this.zoom = 1;
    this.progress = 1;
    this.budget = 4 * FEWEST;
    this.stale = new Set(["places", "colours", "classes"]);
    this.gl = context(this.canvas);
    if (!this.gl) {
      this.fail("this browser has no WebGL");
      return;
    }
    this.canvas.addEventListener("webglcontextlost", (event) => this.lost(event));
    this.canvas.addEventListener("webglcontextrestored", () => this.restored());
    this.setUp();
  }

  fail(reason) {
    this.stage.append(make("div", "cnb-message", { role: "alert" }, `Cannot draw the map here: ${reason}.`));
    this.store.send({ kind: "unsupported", reason });
  }

  lost(event) {
    if (this.removed) return;
    event.preventDefault();
    this.gone = true;
    this.giveUp = setTimeout(() => this.fail("the graphics context was lost"), 5000);
  }

  restored() {
    clearTimeout(this.giveUp);
    this.gone = false;
    this.stale = new Set(["places", "colours", "classes"]);
    this.setUp();
    this.draw();
  }

  setUp() {
    const { gl } = this;
    gl.getExtension("OES_element_index_uint");
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.where = program(gl);
    this.buffers = {};
    for (const name of ["place", "before", "colour", "context", "plain", "chosen"]) this.buffers[name] = gl.createBuffer();
  }

  update(what) {
    if (what === "show") this.reset();
    if (what === "show" || what === "all") this.stale = new Set(["places", "colours", "classes"]);
    if (what === "move") this.glide();
    if (what === "paint") this.stale.add("colours").add("classes");
    if (what === "mark" || what === "legend") this.stale.add("classes");
    if (this.stale.size || what === "theme" || what === "context") this.draw();
  }

  glide() {
    this.stale.add("places");
    if (matchMedia("(prefers-reduced-motion: reduce)").matches || this.store.before?.length !== this.store.xy.length) return;
    this.gliding = performance.now();
    this.progress = 0;
    this.store.grid = null;
  }

  reset() {
    this.centre = [0, 0];
    this.zoom = 1;
    this.draw();
  }

  /** CSS pixels per unit. */
  get scale() {
    const { box } = this.store;
    const fits = (length, half) => Math.max(1, length / 2 - MARGIN) / Math.max(half, 1e-3);
    return Math.min(fits(this.stage.clientWidth, box.halfX), fits(this.stage.clientHeight, box.halfY)) * this.zoom;
  }

  frame() {
    const { scale } = this;
    return {
      ax: scale, bx: this.stage.clientWidth / 2 - this.centre[0] * scale,
      ay: -scale, by: this.stage.clientHeight / 2 + this.centre[1] * scale,
    };
  }

  panBy(dx, dy) {
    this.centre = [this.centre[0] - dx / this.scale, this.centre[1] + dy / this.scale];
    this.busy();
  }

  zoomBy(factor, spot) {
    const [x, y] = spot ?? [this.stage.clientWidth / 2, this.stage.clientHeight / 2];
    const [fromX, fromY] = this.view.toData([x, y]);
    this.zoom = Math.min(5000, Math.max(0.3, this.zoom * factor));
    const [toX, toY] = this.view.toData([x, y]);
    this.centre = [this.centre[0] + fromX - toX, this.centre[1] + fromY - toY];
    this.busy();
  }

  /** While the picture moves, fewer points are drawn if all would not keep up. */
  busy() {
    this.moving = true;
    clearTimeout(this.settling);
    this.settling = setTimeout(() => { this.moving = false; this.lastFrame = null; this.draw(); }, SETTLE);
    this.draw();
  }

  resized() { this.draw(); }

  /** The stage has no size at times, as while JupyterLab changes its theme, and observers need not notice. */
  later() {
    this.tries = (this.tries ?? 0) + 1;
    clearTimeout(this.waiting);
    if (this.tries < 20) this.waiting = setTimeout(() => this.draw(), 250);
  }

  dotSize() { return this.style().size; }

  style() {
    return dotStyle(this.store.shown || 1, this.zoom, Math.max(1, this.stage.clientWidth * this.stage.clientHeight));
  }

  draw() { this.asked ??= requestAnimationFrame((now) => { this.asked = null; this.paint(now); }); }

  paint(now) {
    if (!this.gl || this.gone || this.removed) return;
    if (!this.stage.clientWidth || !this.stage.clientHeight) {
      this.later();
      return;
    }
    this.tries = 0;
    this.advance(now);
    this.upload();
    const { gl, canvas, stage } = this;
    const ratio = devicePixelRatio || 1;
    const width = Math.round(stage.clientWidth * ratio), height = Math.round(stage.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (!this.store.n) return;
    const { ax, bx, ay, by } = this.frame();
    gl.uniform2f(this.where.zoom, (2 * ax) / stage.clientWidth, (-2 * ay) / stage.clientHeight);
    gl.uniform2f(this.where.shift, (2 * bx) / stage.clientWidth - 1, 1 - (2 * by) / stage.clientHeight);
    gl.uniform1f(this.where.progress, this.progress);
    this.passes(ratio);
    this.view.stir();
    if (this.progress < 1) this.draw();
  }

  passes(ratio) {
    const { size, alpha } = this.style();
    const faint = rgba(this.view.ink.faint);
    const rim = rgba(this.view.ink.rim);
    const some = this.store.chosen > 0;
    if (this.store.context) this.pass("context", { size: size * ratio, alpha: faint[3], tint: [...faint.slice(0, 3), 1], rim: 0, rimColour: rim });
    this.pass("plain", {
      size: size * ratio, alpha: some ? alpha * 0.4 : alpha, tint: [...faint.slice(0, 3), some ? 0.55 : 0], rim: 0, rimColour: rim,
    });
    const large = Math.max(size * 1.25, size + 0.8);
    const rimWidth = large > 6 ? 1 : 0;
    this.pass("chosen", {
      size: large * ratio, alpha: Math.max(alpha, 0.75), tint: [0, 0, 0, 0], rim: rimWidth * ratio, rimColour: rim,
    });
  }

  pass(name, { size, alpha, tint, rim, rimColour }) {
    const { gl, where } = this;
    const total = this.classes[name];
    if (!total) return;
    const all = this.classes.context + this.classes.plain + this.classes.chosen;
    const count = this.moving ? Math.min(total, Math.ceil(total * (this.budget / all))) : total;
    gl.uniform1f(where.size, size);
    gl.uniform1f(where.alpha, alpha);
    gl.uniform1f(where.rim, rim);
    gl.uniform4f(where.tint, ...tint);
    gl.uniform4f(where.rimColour, ...rimColour);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers[name]);
    gl.drawElements(gl.POINTS, count, gl.UNSIGNED_INT, 0);
  }

  advance(now) {
    if (this.progress < 1) {
      const part = Math.min(1, Math.max(0, (performance.now() - this.gliding) / GLIDE));
      this.progress = part < 0.5 ? 4 * part ** 3 : 1 - (2 - 2 * part) ** 3 / 2;
      this.busy();
    }
    if (!this.moving) return;
    const took = this.lastFrame ? now - this.lastFrame : 0;
    this.lastFrame = now;
    if (took > 40 && took < 1000) this.budget = Math.max(FEWEST, Math.min(this.budget, this.store.n) * 0.6);
    else if (took > 0 && took < 20) this.budget = Math.min(this.store.n, this.budget * 1.2);
  }

  /** Bring what changed to the graphics card, in an order that is shuffled: any part of it is then a fair sample. */
  upload() {
    const { store, gl, stale } = this;
    if (this.order?.length !== store.n) this.order = shuffled(store.n);
    if (stale.has("places")) this.uploadPlaces(gl);
    if (stale.has("colours")) this.uploadColours(gl);
    if (stale.has("classes")) this.uploadClasses(gl);
    stale.clear();
  }

  uploadPlaces(gl) {
    const put = (name, xy) => {
      const places = new Float32Array(xy.length);
      for (let to = 0; to < this.order.length; to += 1) {
        places[2 * to] = xy[2 * this.order[to]];
        places[2 * to + 1] = xy[2 * this.order[to] + 1];
      }
      this.attribute(gl, name, places, 2, gl.FLOAT, false);
    };
    put("place", this.store.xy);
    if (this.progress < 1) put("before", this.store.before);
    else this.attribute(gl, "before", null, 2, gl.FLOAT, false);
  }

  uploadColours(gl) {
    const { store } = this;
    const none = rgba("#8c8c8c").map((part) => Math.round(part * 255));
    const palette = new Uint8Array(4 * 65536);
    for (let code = 0; code < 65536; code += 1) palette.set(none, 4 * code);
    store.colours.palette.forEach((colour, code) => palette.set(rgba(colour).map((part) => Math.round(part * 255)), 4 * code));
    const wide = new Uint32Array(palette.buffer);
    const colours = new Uint32Array(store.n);
    for (let to = 0; to < store.n; to += 1) colours[to] = wide[store.codes[this.order[to]]];
    this.attribute(gl, "colour", new Uint8Array(colours.buffer), 4, gl.UNSIGNED_BYTE, true);
  }

  /** Fill a vertex buffer; with no data, the attribute reads the places instead. */
  attribute(gl, name, data, size, type, normalised) {
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[data ? name : "place"]);
    if (data) gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
    gl.enableVertexAttribArray(this.where[name]);
    gl.vertexAttribPointer(this.where[name], size, type, normalised, 0, 0);
  }

  /** Sort the points into faint context, plain and selected ones; those the legend has switched off are in none. */
  uploadClasses(gl) {
    const { order } = this;
    const { n, visible, pickable, selected, shown, chosen } = this.store;
    const lists = [new Uint32Array(n), new Uint32Array(shown - chosen), new Uint32Array(chosen)];
    const [context, plain, picked] = lists;
    let c = 0, p = 0, s = 0;
    for (let to = 0; to < n; to += 1) {
      const from = order[to];
      if (pickable[from]) {
        if (selected[from]) picked[s++] = to;
        else plain[p++] = to;
      } else if (!visible[from]) context[c++] = to;
    }
    this.classes = { context: c, plain: p, chosen: s };
    for (const [i, name] of Object.keys(this.classes).entries()) {
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers[name]);
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, lists[i].subarray(0, this.classes[name]), gl.DYNAMIC_DRAW);
    }
  }

  remove() {
    this.removed = true;
    for (const timer of [this.settling, this.giveUp, this.waiting]) clearTimeout(timer);
    if (this.asked) cancelAnimationFrame(this.asked);
    // Browsers keep only some 16 contexts alive: a re-run cell must not hold on to its old one.
    this.gl?.getExtension("WEBGL_lose_context")?.loseContext();
    this.canvas.remove();
  }
}
