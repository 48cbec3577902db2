// What the panels have in common. Text goes into the page as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.3 10.3 14 14",
  close: "M4 4l8 8M12 4l-8 8",
  plus: "M8 3v10M3 8h10",
  unfold: "M6 4l4 4-4 4",
  like: "M8 2l1.4 4.6L14 8l-4.6 1.4L8 14l-1.4-4.6L2 8l4.6-1.4z",
  copy: "M6 6h7v7H6zM3 10V3h7",
  check: "M3 8.5l3.2 3L13 4.5",
  up: "M8 13V3M4 7l4-4 4 4",
  down: "M8 3v10M4 9l4 4 4-4",
  first: "M12 4L8 8l4 4M5 4v8",
  previous: "M10 4L6 8l4 4",
  next: "M6 4l4 4-4 4",
  last: "M4 4l4 4-4 4M11 4v8",
};

/** An element; of its attributes `on` holds listeners and `value` a property. Children are elements and texts. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("chroma-nb-icon");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button; without text, `label` is what a screen reader and the tooltip say. */
export function button(attributes, ...children) {
  const { label, ...others } = attributes;
  const named = label ? { "aria-label": label, title: label } : {};
  return make("button", { type: "button", class: "chroma-nb-button", ...named, ...others }, ...children);
}

/** Buttons of which one is on: [value, text, hint] each. */
export function choice(label, options, chosen, choose, focus) {
  const group = make("div", { class: "chroma-nb-choice", role: "group", "aria-label": label });
  for (const [value, text, hint] of options) {
    const pressed = value === chosen;
    group.append(
      button(
        { class: "chroma-nb-option", "aria-pressed": String(pressed), "data-focus": `${focus}-${value}`, title: hint ?? null, on: { click: () => choose(value) } },
        text,
      ),
    );
  }
  return group;
}

export function whole(number) { return number.toLocaleString("en-US"); }

let drawing = false;

/**
 * Call back with what was typed, on Enter and when the focus leaves. Not by the change event, which a box that was
 * drawn anew under the typing hand does not have.
 */
export function typed(input, send) {
  const commit = () => { if (!drawing && input.value !== input.defaultValue) send(input.value); };
  input.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.isComposing) commit(); });
  input.addEventListener("blur", commit);
  return input;
}

/** Draw anew, and leave the focus, what is being typed and how far things are scrolled as they were. */
export function redraw(root, draw) {
  const active = root.contains(document.activeElement) ? document.activeElement : null;
  const key = active?.dataset.focus;
  const draft = active?.matches("input") && active.value !== active.defaultValue ? active.value : null;
  const caret = active?.matches("input[type=text]") ? [active.selectionStart, active.selectionEnd] : null;
  const scrolled = [...root.querySelectorAll("[data-scroll]")].map((box) => [box.dataset.scroll, box.scrollLeft, box.scrollTop]);
  drawing = true; // an element that is taken away loses the focus, which commits nothing
  draw();
  drawing = false;
  for (const [name, left, top] of scrolled) root.querySelector(`[data-scroll="${CSS.escape(name)}"]`)?.scrollTo(left, top);
  if (!active) return;
  const again = key ? root.querySelector(`[data-focus="${CSS.escape(key)}"]`) : null;
  (again ?? root.querySelector("[data-focus-last]"))?.focus({ preventScroll: true });
  if (again && draft !== null) again.value = draft;
  if (again && caret) again.setSelectionRange(...caret);
}

/** Keep a panel's element in step with its model; `draw(shown)` fills it. Returns what to call at the end. */
export function follow({ model, el }, name, draw) {
  el.classList.add("chroma-nb", `chroma-nb-${name}`);
  el.addEventListener("focusin", keepKeys);
  const show = () => { idle(el); draw(model.get("shown")); };
  const hear = (message) => { if (message.kind === "done") idle(el); };
  model.on("change:shown", show);
  model.on("msg:custom", hear);
  show();
  return () => {
    model.off("change:shown", show);
    model.off("msg:custom", hear);
    clearTimeout(waits.get(el));
  };
}

/** M on a row, arrows on a slider and Enter on a button are no commands to the notebook. Boxes of text it leaves alone. */
function keepKeys({ target }) {
  if (!target.matches("input[type=text], input[type=number]")) target.setAttribute("data-lm-suppress-shortcuts", "true");
}

const waits = new WeakMap();

/** Tell the kernel what was done; what takes longer than a blink is seen to be under way. */
export function tell({ model, el }, action, given = {}) {
  clearTimeout(waits.get(el));
  waits.set(el, setTimeout(() => el.setAttribute("aria-busy", "true"), 250));
  model.send({ do: action, ...given });
}

function idle(el) {
  clearTimeout(waits.get(el));
  el.removeAttribute("aria-busy");
}
