// The form for a query. What is being typed is known here only, until it is asked.

import { button, choice, follow, icon, make, redraw, tell, whole } from "./page.js";

const LOOK_EVERY = 3000; // milliseconds between two questions whether the data has changed

class Form {
  constructor(context) {
    this.context = context;
    this.mode = null;
    this.looked = performance.now();
    context.el.addEventListener("pointerenter", () => this.look());
    context.el.addEventListener("focusin", () => this.look());
  }

  draw(shown) {
    const { el } = this.context;
    const asked = JSON.stringify([shown.mode, shown.text, shown.label]);
    if (asked !== this.asked) this.mode = shown.mode; // the query changed, perhaps from code: the form follows
    if (asked !== this.asked || !this.draft) this.draft = { text: "", vector: "", like: "", [shown.mode]: shown.text };
    this.asked = asked;
    this.shown = shown;
    redraw(el, () => el.replaceChildren(...[this.banner(), this.bar(), this.line()].filter(Boolean)));
  }

  act(action, given) { tell(this.context, action, given); }

  bar() {
    const { count, asked } = this.shown;
    const modes = [
      ["text", "Text", "Search for a text"],
      ["vector", "Vector", "Search for a vector"],
      ["like", "Like id", "Search for items like one of them"],
    ];
    const many = make("input", {
      type: "number", min: 1, step: 1, class: "chroma-nb-input chroma-nb-few", value: count, "data-focus": "count",
      "aria-label": "How many results", title: "How many results, at most",
      on: { keydown: (event) => this.entered(event), change: (event) => { if (asked) this.act("count", { count: event.target.value }); } },
    });
    this.many = many;
    return make(
      "div",
      { class: "chroma-nb-toolbar", role: "search" },
      choice("What to search for", modes, this.mode, (mode) => this.turn(mode), "mode"),
      this.box(),
      make("label", { class: "chroma-nb-field" }, make("span", { class: "chroma-nb-muted" }, "Results"), many),
      button({ class: "chroma-nb-button chroma-nb-primary", "data-focus": "search", on: { click: () => this.ask() } }, icon("search"), "Search"),
      button({ class: "chroma-nb-button chroma-nb-quiet", "data-focus": "clear", disabled: !asked, on: { click: () => this.clear() } }, "Clear"),
    );
  }

  box() {
    const { dimension, example, label, mode } = this.shown;
    const hints = {
      text: "What are you looking for? Describe it, then press Enter",
      vector: this.mode === mode && label ? label : `${dimension ?? "Some"} numbers, such as 0.12, -0.05, 0.33`,
      like: example ? `The id of an item, such as ${example}` : "The id of an item",
    };
    const labels = { text: "Text to search for", vector: "Vector to search for", like: "Id of an item" };
    this.input = make("input", {
      type: "text", class: "chroma-nb-input chroma-nb-wide", placeholder: hints[this.mode], "aria-label": labels[this.mode],
      value: this.draft[this.mode], "data-focus": "query", spellcheck: "false", autocomplete: "off", dir: "auto",
      on: {
        keydown: (event) => this.entered(event),
        input: (event) => { this.draft[this.mode] = event.target.value; },
      },
    });
    return this.input;
  }

  /** How much there is to search in, and whether it is still the newest. */
  line() {
    const { passing, total, filtered, stale, asked, label, hits } = this.shown;
    const rows = passing === null ? "" : filtered ? `${whole(passing)} of ${whole(total)} rows pass the filters` : `${whole(total)} rows`;
    const found = asked ? `${whole(hits)} ${hits === 1 ? "result" : "results"} for ${label}` : "";
    const line = make("div", { class: "chroma-nb-line chroma-nb-muted", "aria-live": "polite" });
    line.append(make("span", {}, rows));
    if (found) line.append(make("span", { class: "chroma-nb-found", title: found }, found));
    if (stale) {
      line.append(
        make("span", { class: "chroma-nb-note" }, "The data has changed.",
          button({ class: "chroma-nb-button chroma-nb-link", "data-focus": "refresh", on: { click: () => this.act("refresh") } }, "Refresh")),
      );
    }
    return line;
  }

  banner() {
    const { error } = this.shown;
    if (!error) return null;
    return make(
      "div",
      { class: "chroma-nb-banner", role: "alert" },
      make("span", { class: "chroma-nb-said", dir: "auto" }, error),
      button({ class: "chroma-nb-button chroma-nb-bare", label: "Dismiss this message", "data-focus": "dismiss", on: { click: () => this.act("dismiss") } }, icon("close")),
    );
  }

  turn(mode) {
    this.mode = mode;
    this.draw(this.shown);
    this.input.focus();
  }

  entered(event) {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    this.ask();
  }

  ask() {
    this.act("ask", { mode: this.mode, text: this.input.value, count: this.many.value });
  }

  clear() {
    this.draft = { text: "", vector: "", like: "" };
    this.input.value = "";
    this.act("clear");
    this.input.focus();
  }

  look() {
    if (performance.now() - this.looked < LOOK_EVERY) return;
    this.looked = performance.now();
    this.act("look");
  }
}

function render(context) {
  const form = new Form(context);
  return follow(context, "query", (shown) => form.draw(shown));
}

export default { render };
