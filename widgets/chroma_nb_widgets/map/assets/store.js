// What one map widget knows in this browser, shared by all its views, and its conversation with the kernel.

import { Grid, insidePolygon, packBits, unpackBits } from "./geometry.js";
import { hear } from "./hearing.js";

const NO_VALUE = 65535;
const KEPT_TEXTS = 500;
const PATIENCE_FOR_FIRST = 3000;

/** A buffer of a message as an array of some type; its bytes are copied where they are not aligned. */
function typed(Type, view) {
  const bytes = new Uint8Array(view.buffer ?? view, view.byteOffset ?? 0, view.byteLength);
  const aligned = bytes.byteOffset % Type.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  return new Type(aligned.buffer, aligned.byteOffset, aligned.byteLength / Type.BYTES_PER_ELEMENT);
}

export class Store {
  constructor(model) {
    this.model = model;
    this.client = Math.random().toString(36).slice(2);
    this.epoch = -1;
    this.pending = true;
    this.n = 0;
    this.box = { x: 0, y: 0, unit: 1, halfX: 1, halfY: 1 };
    this.xy = new Float32Array(0);
    this.codes = null;
    this.visible = new Uint8Array(0);
    this.selected = new Uint8Array(0);
    this.pickable = new Uint8Array(0);
    this.colours = { kind: "none", label: "", palette: [], legend: [], low: null, high: null };
    this.hidden = new Set();
    this.query = null;
    this.context = true;
    this.shown = 0;
    this.chosen = 0;
    this.texts = new Map();
    this.asked = new Set();
    this.waiting = new Map();
    this.sequence = 0;
    this.listeners = new Set();
    this.grid = null;
    this.closed = false;
    model.on("msg:custom", (message, buffers) => this.receive(message, buffers));
    this.send({ kind: "ready" });
    this.listening = setTimeout(() => this.ask(), PATIENCE_FOR_FIRST);
  }

  /** No answer so far: the kernel is busy, or the answer was dropped. What comes before the "pong" tells which. */
  async ask() {
    hear(await this.model.widget_manager.get_model(this.model.get("own_id")));
    this.send({ kind: "ping" });
  }

  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  tell(what, detail) { for (const listener of [...this.listeners]) listener(what, detail); }

  send(message, buffers = []) {
    this.model.send({ ...message, client: this.client, epoch: this.epoch }, undefined, buffers);
  }

  receive(message, buffers) {
    if (message.to && message.to !== this.client) return;
    this.drawing = message.drawing;
    clearTimeout(this.listening);
    if (message.kind === "pong") {
      if (this.epoch < 0) this.send({ kind: "ready" });
    } else if (message.kind === "show") this.show(message, buffers);
    else if (message.kind === "ack") this.acknowledged(message.sequence);
    else if (message.kind === "text") this.answer(message);
    else if (message.kind === "close") this.close();
    else if (message.epoch === this.epoch) this.change(message, buffers);
  }

  show(message, buffers) {
    const fresh = message.epoch !== this.epoch;
    this.epoch = message.epoch;
    this.figure = message.figure;
    this.n = message.n;
    if (fresh) for (const sequence of [...this.waiting.keys()]) this.acknowledged(sequence);
    this.texts.clear();
    if (fresh && !message.places) this.empty();
    this.colours = message.colours;
    this.hidden = new Set(message.colours.hidden);
    if (message.places) {
      const [xy, codes, ...marks] = buffers;
      this.setPlaces(message, xy);
      this.codes = typed(Uint16Array, codes);
      this.pending = false;
      this.setMarks(message.selected, marks);
    }
    this.query = message.overlay;
    this.tell(fresh ? "show" : "all");
  }

  change(message, buffers) {
    if (message.kind === "move" && buffers.length) this.setPlaces(message, buffers[0]);
    if (message.kind === "paint") this.setColours(message.colours, buffers[0]);
    if (message.kind === "mark" && buffers.length) this.setMarks(message.selected, buffers);
    if (message.kind === "overlay") this.query = message.overlay;
    if (message.kind === "paint" || message.kind === "mark") this.forget();
    this.tell(message.kind);
  }

  /** Wait for points that are kept elsewhere. */
  empty() {
    this.xy = new Float32Array(2 * this.n).fill(NaN);
    this.visible = new Uint8Array(this.n);
    this.selected = new Uint8Array(this.n);
    this.codes = null;
    this.pending = true;
    this.sift();
  }

  /** Take over points that are kept elsewhere. */
  adopt(xy, visible, selected) {
    this.pending = false;
    this.xy = xy;
    this.visible = visible;
    if (this.waiting.size === 0) this.selected = selected;
    this.sift();
    this.tell("adopted");
  }

  setPlaces(message, buffer) {
    this.before = this.xy;
    this.xy = typed(Float32Array, buffer);
    this.box = message.box;
    this.grid = null;
  }

  setColours(colours, codes) {
    this.colours = colours;
    this.hidden = new Set(colours.hidden);
    if (codes) this.codes = typed(Uint16Array, codes);
    this.sift();
  }

  setMarks(hasSelection, buffers) {
    this.visible = unpackBits(typed(Uint8Array, buffers[0]), this.n);
    // While a newer selection of ours is under way, the kernel speaks of an older one.
    if (this.waiting.size === 0) {
      this.selected = hasSelection ? unpackBits(typed(Uint8Array, buffers[1]), this.n) : new Uint8Array(this.n);
    }
    this.sift();
  }

  /** Which points can be seen and picked, and how many. */
  sift() {
    const { n, codes, visible } = this;
    if (visible.length !== n) return;
    const seen = new Uint8Array(65536).fill(1);
    for (const code of this.hidden) seen[code] = 0;
    this.pickable = new Uint8Array(n);
    let shown = 0, chosen = 0;
    for (let i = 0; i < n; i += 1) {
      const there = visible[i] & (codes ? seen[codes[i]] : 1);
      this.pickable[i] = there;
      shown += there;
      chosen += there & (this.selected[i] ?? 0);
    }
    this.shown = shown;
    this.chosen = chosen;
    this.grid = null;
  }

  /** The colour of a code, and whether the legend has it switched off. */
  colourOf(code) { return code === NO_VALUE ? null : this.colours.palette[code] ?? null; }

  nearest(x, y, radius) {
    this.grid ??= new Grid(this.xy, this.pickable);
    return this.grid.nearest(x, y, radius);
  }

  /** Select what lies in a polygon of data coordinates; how is "replace", "add" or "remove". */
  lasso(corners, how) {
    const inside = insidePolygon(corners);
    const mask = how === "replace" ? new Uint8Array(this.n) : this.selected.slice();
    const value = how === "remove" ? 0 : 1;
    for (let i = 0; i < this.n; i += 1) {
      if (this.pickable[i] && inside(this.xy[2 * i], this.xy[2 * i + 1])) mask[i] = value;
    }
    this.select(mask, { how, polygon: corners.map(([x, y]) => [this.worldX(x), this.worldY(y)]) });
  }

  worldX(x) { return x * this.box.unit + this.box.x; }

  worldY(y) { return y * this.box.unit + this.box.y; }

  clear() { this.select(new Uint8Array(this.n), { how: "replace", polygon: null }); }

  select(mask, about) {
    this.selected = mask;
    this.sift();
    this.sequence += 1;
    const sequence = this.sequence;
    const post = (pause) => {
      this.send({ kind: "select", sequence, ...about }, [packBits(mask).buffer]);
      // Sent again, ever more rarely, until the kernel says it has it: it counts each sequence number once.
      this.waiting.set(sequence, setTimeout(() => post(Math.min(2 * pause, 120_000)), pause));
    };
    post(5000);
    this.tell("mark");
    this.tell("sent", sequence);
  }

  acknowledged(sequence) {
    clearTimeout(this.waiting.get(sequence));
    this.waiting.delete(sequence);
    this.tell("acknowledged", sequence);
  }

  toggle(codes) {
    this.hidden = new Set(codes);
    this.sift();
    this.send({ kind: "legend", hidden: [...this.hidden] });
    this.tell("legend");
  }

  /** Show the points outside the view faintly, or not at all. */
  showContext(shown) {
    this.context = shown;
    this.send({ kind: "context", shown });
    this.tell("context");
  }

  click(position) { this.send({ kind: "click", position }); }

  /** The text of a point if it is here; else it is asked for, and a "text" is told when it comes. */
  text(position) {
    const found = this.texts.get(position);
    if (!found && !this.asked.has(position)) {
      this.asked.add(position);
      this.send({ kind: "hover", position });
    }
    return found;
  }

  answer(message) {
    if (message.epoch !== this.epoch) return;
    this.asked.delete(message.position);
    this.texts.set(message.position, message);
    if (this.texts.size > KEPT_TEXTS) this.texts.delete(this.texts.keys().next().value);
    this.tell("text", message.position);
  }

  forget() {
    this.texts.clear();
    this.asked.clear();
  }

  close() {
    this.closed = true;
    clearTimeout(this.listening);
    for (const timer of this.waiting.values()) clearTimeout(timer);
    this.waiting.clear();
    this.tell("close");
  }
}
