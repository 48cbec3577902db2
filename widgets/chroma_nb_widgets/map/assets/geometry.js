// Numbers without a screen: bitmasks, what lies in a polygon, the nearest point, and how large points are drawn.

/** Spread a bitmask (lowest bit first) into one byte per point. */
export function unpackBits(bytes, n) {
  const mask = new Uint8Array(n);
  for (let i = 0; i < n; i += 1) mask[i] = (bytes[i >> 3] >> (i & 7)) & 1;
  return mask;
}

/** Pack one byte per point into a bitmask, lowest bit first. */
export function packBits(mask) {
  const bytes = new Uint8Array((mask.length + 7) >> 3);
  for (let i = 0; i < mask.length; i += 1) if (mask[i]) bytes[i >> 3] |= 1 << (i & 7);
  return bytes;
}

/**
 * A test for "inside this polygon" by the even-odd rule. The edges are sorted into horizontal bands, so that a lasso of
 * hundreds of corners costs a point no more than the few edges at its height.
 */
export function insidePolygon(corners) {
  let left = Infinity, right = -Infinity, low = Infinity, high = -Infinity;
  for (const [x, y] of corners) {
    left = Math.min(left, x); right = Math.max(right, x);
    low = Math.min(low, y); high = Math.max(high, y);
  }
  const count = 512;
  const perUnit = high > low ? count / (high - low) : 0;
  const band = (y) => Math.min(count - 1, Math.max(0, Math.floor((y - low) * perUnit)));
  const bands = Array.from({ length: count }, () => []);
  corners.forEach(([x1, y1], i) => {
    const [x2, y2] = corners[(i + 1) % corners.length];
    if (y1 === y2) return;
    const edge = { x1, y1, y2, slope: (x2 - x1) / (y2 - y1) };
    for (let b = band(Math.min(y1, y2)); b <= band(Math.max(y1, y2)); b += 1) bands[b].push(edge);
  });
  return (x, y) => {
    if (!(x >= left && x <= right && y >= low && y <= high)) return false;
    let inside = false;
    for (const edge of bands[band(y)]) {
      if (edge.y1 > y !== edge.y2 > y && x < edge.x1 + (y - edge.y1) * edge.slope) inside = !inside;
    }
    return inside;
  };
}

/** The points sorted into square cells, to find the nearest one without looking at all. */
export class Grid {
  constructor(xy, pickable) {
    this.xy = xy;
    const n = xy.length / 2;
    let left = Infinity, right = -Infinity, low = Infinity, high = -Infinity;
    for (let i = 0; i < n; i += 1) {
      if (!pickable[i]) continue;
      const x = xy[2 * i], y = xy[2 * i + 1];
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < low) low = y;
      if (y > high) high = y;
    }
    this.side = Math.max(1, Math.min(1024, Math.floor(Math.sqrt(n / 3))));
    this.cell = Math.max(right - left, high - low, 1e-12) / this.side;
    this.left = left;
    this.low = low;
    const cells = this.side * this.side;
    this.starts = new Uint32Array(cells + 1);
    const home = new Uint32Array(n);
    for (let i = 0; i < n; i += 1) {
      home[i] = pickable[i] ? this.column(xy[2 * i]) + this.side * this.row(xy[2 * i + 1]) : cells;
      if (pickable[i]) this.starts[home[i] + 1] += 1;
    }
    for (let c = 0; c < cells; c += 1) this.starts[c + 1] += this.starts[c];
    this.items = new Uint32Array(this.starts[cells]);
    const next = this.starts.slice();
    for (let i = 0; i < n; i += 1) if (home[i] < cells) this.items[next[home[i]]++] = i;
  }

  column(x) { return Math.min(this.side - 1, Math.max(0, Math.floor((x - this.left) / this.cell))); }

  row(y) { return Math.min(this.side - 1, Math.max(0, Math.floor((y - this.low) / this.cell))); }

  /** The point nearest to a place, -1 if none is within the radius. */
  nearest(x, y, radius) {
    let best = -1, least = radius * radius;
    for (let row = this.row(y - radius); row <= this.row(y + radius); row += 1) {
      for (let column = this.column(x - radius); column <= this.column(x + radius); column += 1) {
        const cell = column + this.side * row;
        for (let at = this.starts[cell]; at < this.starts[cell + 1]; at += 1) {
          const i = this.items[at];
          const dx = this.xy[2 * i] - x, dy = this.xy[2 * i + 1] - y;
          const distance = dx * dx + dy * dy;
          if (distance <= least) { least = distance; best = i; }
        }
      }
    }
    return best;
  }
}

/** Diameter (CSS pixels) and opacity of n points, zoomed in by a factor, on so many pixels. */
export function dotStyle(n, zoom, pixels) {
  const size = Math.min(14, Math.max(1.2, 3.3 * (1e5 / Math.max(n, 1000)) ** 0.27 * zoom ** 0.35));
  const layers = (n * size * size) / (pixels * 0.3 * zoom ** 1.6);
  return { size, alpha: Math.min(0.85, Math.max(0.3, 0.85 / Math.max(layers, 1) ** 0.45)) };
}

/** The numbers 0 .. n-1 in an order that is shuffled, and the same each time. */
export function shuffled(n) {
  const order = new Uint32Array(n);
  let seed = 12345;
  for (let i = 0; i < n; i += 1) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const j = Math.floor((seed / 4294967296) * (i + 1));
    order[i] = order[j];
    order[j] = i;
  }
  return order;
}
