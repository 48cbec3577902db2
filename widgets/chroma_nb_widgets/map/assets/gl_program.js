// The program that the graphics card runs for each point.

const VERTEX = `
attribute vec2 place; attribute vec2 before; attribute vec4 colour;
uniform vec2 zoom; uniform vec2 shift; uniform float progress; uniform mediump float size;
varying vec4 tone;
void main() {
  gl_Position = vec4(mix(before, place, progress) * zoom + shift, 0.0, 1.0);
  gl_PointSize = size + 1.0;
  tone = colour;
}`;
const FRAGMENT = `
precision mediump float;
uniform float size; uniform float alpha; uniform float rim; uniform vec4 tint; uniform vec4 rimColour;
varying vec4 tone;
void main() {
  float away = length(gl_PointCoord - 0.5) * (size + 1.0);
  float cover = size < 2.5 ? 1.0 : clamp(size * 0.5 - away + 0.5, 0.0, 1.0);
  vec3 inner = mix(tone.rgb, tint.rgb, tint.a);
  float edge = rim > 0.0 ? clamp(away - (size * 0.5 - rim) + 0.5, 0.0, 1.0) : 0.0;
  float strength = cover * alpha;
  gl_FragColor = vec4(mix(inner, rimColour.rgb, edge * 0.7) * strength, strength);
}`;
const ATTRIBUTES = ["place", "before", "colour"];
const UNIFORMS = ["zoom", "shift", "progress", "size", "alpha", "rim", "tint", "rimColour"];

/** A WebGL context for a canvas; null where there is none. */
export function context(canvas) {
  if (window.__chromaNoWebGL) return null;
  return canvas.getContext("webgl", { antialias: false, alpha: true, premultipliedAlpha: true });
}

/** Make the program the one in use; returns where its attributes and uniforms are. */
export function program(gl) {
  const made = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(`map: ${gl.getProgramInfoLog(made)}`);
  gl.useProgram(made);
  const where = {};
  for (const name of ATTRIBUTES) where[name] = gl.getAttribLocation(made, name);
  for (const name of UNIFORMS) where[name] = gl.getUniformLocation(made, name);
  return where;
}
