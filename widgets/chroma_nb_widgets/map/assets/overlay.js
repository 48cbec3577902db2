// What is drawn over the points on a flat canvas: the lasso, the point under the pointer, and a query with its hits.

const RANKED = 50;

export class OverlayCanvas {
  constructor(store, canvas) {
    this.store = store;
    this.canvas = canvas;
    this.path = null;
    this.hovered = -1;
  }

  /** Draw everything anew; the frame turns data coordinates into CSS pixels. */
  draw(frame, colours) {
    const { canvas } = this;
    const ratio = devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !height) return;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (!frame) return;
    this.pen = pen;
    this.frame = frame;
    this.ink = colours;
    if (this.store.query) this.drawQuery(this.store.query);
    const spot = this.hovered >= 0 ? this.spot(this.hovered) : null;
    if (spot) this.ring(spot, 7, colours.text, 1.5);
    if (this.path) this.drawPath();
  }

  at(x, y) { return [this.frame.ax * x + this.frame.bx, this.frame.ay * y + this.frame.by]; }

  /** Where a point is on the screen; null if it has no place. */
  spot(position) {
    const x = this.store.xy[2 * position], y = this.store.xy[2 * position + 1];
    return Number.isFinite(x) && Number.isFinite(y) ? this.at(x, y) : null;
  }

  /** Where a place in the kernel's coordinates is on the screen. */
  world([x, y]) {
    const { box } = this.store;
    return this.at((x - box.x) / box.unit, (y - box.y) / box.unit);
  }

  ring(spot, radius, colour, width) {
    const { pen } = this;
    pen.beginPath();
    pen.arc(spot[0], spot[1], radius, 0, 2 * Math.PI);
    this.stroke(colour, width);
  }

  /** A line with a halo of the background, so that it is seen on any colour. */
  stroke(colour, width, halo = 2) {
    const { pen } = this;
    pen.lineWidth = width + 2 * halo;
    pen.strokeStyle = this.ink.halo;
    pen.stroke();
    pen.lineWidth = width;
    pen.strokeStyle = colour;
    pen.stroke();
  }

  drawQuery({ query, label, hits, lines }) {
    const centre = query && this.world(query);
    const spots = hits.map((place) => this.world(place));
    if (centre && lines) this.drawLines(centre, spots);
    for (let rank = spots.length - 1; rank >= 0; rank -= 1) this.drawHit(spots[rank], rank);
    if (centre) this.drawStar(centre, label);
  }

  drawLines(centre, spots) {
    const { pen } = this;
    for (const [rank, spot] of spots.entries()) {
      pen.globalAlpha = Math.max(0.35, 0.9 - rank * 0.05);
      pen.beginPath();
      pen.moveTo(...centre);
      pen.lineTo(...spot);
      this.stroke(this.ink.text, 1.2, 1.2);
    }
    pen.globalAlpha = 1;
  }

  drawHit(spot, rank) {
    this.ring(spot, 7, this.ink.accent, 2);
    if (rank >= RANKED) return;
    this.write(String(rank + 1), spot[0] + 9, spot[1] - 8, "600 11px", this.ink.text);
  }

  drawStar([x, y], label) {
    const { pen } = this;
    pen.beginPath();
    for (let i = 0; i < 10; i += 1) {
      const radius = i % 2 ? 4.5 : 11;
      const angle = -Math.PI / 2 + (i * Math.PI) / 5;
      pen.lineTo(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
    }
    pen.closePath();
    pen.lineJoin = "round";
    this.stroke(this.ink.text, 1.5, 2.5);
    pen.fillStyle = this.ink.star;
    pen.fill();
    if (label) this.name(label.length > 32 ? `${label.slice(0, 31)}…` : label, x, y);
  }

  /** Write a label beside the star: right of it, else left, else below. */
  name(label, x, y) {
    const font = "600 12px";
    this.pen.font = `${font} ${this.ink.font}`;
    const width = this.pen.measureText(label).width;
    const right = x + 14 + width <= this.canvas.clientWidth - 4, left = x - 14 - width >= 4;
    this.write(label, right || !left ? x + 14 : x - 14 - width, right || left ? y + 4 : y + 26, font, this.ink.text);
  }

  write(text, x, y, font, colour) {
    const { pen } = this;
    pen.font = `${font} ${this.ink.font}`;
    pen.lineJoin = "round";
    const left = Math.max(4, Math.min(x, this.canvas.clientWidth - pen.measureText(text).width - 4));
    pen.lineWidth = 4;
    pen.strokeStyle = this.ink.halo;
    pen.strokeText(text, left, y);
    pen.fillStyle = colour;
    pen.fillText(text, left, y);
  }

  drawPath() {
    const { pen } = this;
    pen.beginPath();
    for (const [x, y] of this.path.corners) pen.lineTo(x, y);
    pen.closePath();
    pen.fillStyle = this.ink.veil;
    pen.fill();
    pen.setLineDash(this.path.waiting ? [2, 4] : [6, 4]);
    pen.lineWidth = 1.5;
    pen.strokeStyle = this.ink.accent;
    pen.stroke();
    pen.setLineDash([]);
  }
}
