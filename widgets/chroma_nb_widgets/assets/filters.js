// The form for filters. Which list is open, and what is typed or dragged but not let go, is known here only.

import { button, choice, follow, icon, make, redraw, tell, typed, whole } from "./page.js";
import { Range } from "./range.js";

const SEARCH_FROM = 9; // so many columns or values get a box to search among them

class Filters {
  constructor(context) {
    this.context = context;
    this.picking = false;
    this.showsCode = false;
    this.sought = {}; // what is searched for, by list
    context.el.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.picking) this.pick(false);
    });
  }

  draw(shown) {
    this.shown = shown;
    const lists = new Set([this.picking ? "columns" : "", ...shown.editors.map(({ key }) => `values-${key}`)]);
    for (const list of Object.keys(this.sought)) if (!lists.has(list)) delete this.sought[list];
    const { el } = this.context;
    redraw(el, () => el.replaceChildren(...[this.bar(), this.picker(), this.chips(), this.editors(), this.code()].filter(Boolean)));
  }

  act(action, given) { tell(this.context, action, given); }

  again() { this.draw(this.shown); }

  // the bar

  bar() {
    const { chips, match, code, columns } = this.shown;
    const matches = [["all", "All", "Rows must pass every filter"], ["any", "Any", "Rows must pass one of the filters"]];
    const both = chips.length > 1
      ? make("div", { class: "chroma-nb-field" }, make("span", { class: "chroma-nb-muted" }, "Match"), choice("Match", matches, match, (name) => this.act("match", { match: name }), "match"))
      : null;
    return make(
      "div",
      { class: "chroma-nb-toolbar" },
      button(
        { "aria-expanded": String(this.picking), "data-focus": "add", "data-focus-last": true, disabled: columns.length === 0, title: "Filter by a column", on: { click: () => this.pick(!this.picking) } },
        icon("plus"), "Filter",
      ),
      this.document(),
      both,
      code ? button({ class: "chroma-nb-button chroma-nb-quiet", "data-focus": "clear", on: { click: () => this.act("clear") } }, "Clear all") : null,
    );
  }

  document() {
    const { document: filter } = this.shown;
    const input = make("input", {
      type: "text", class: "chroma-nb-input chroma-nb-wide", "aria-label": "Document contains", "data-focus": "document", spellcheck: "false",
      placeholder: filter.regex || this.regex ? "Document matches this pattern" : "Document contains", value: filter.text, dir: "auto",
    });
    const send = (regex) => {
      if (input.value !== filter.text || regex !== filter.regex) this.act("document", { text: input.value, regex });
    };
    const pattern = this.regex ?? filter.regex;
    typed(input, () => send(pattern));
    const toggle = button(
      {
        class: "chroma-nb-button chroma-nb-bare chroma-nb-regex", "aria-pressed": String(pattern), label: "Regular expression", "data-focus": "regex",
        on: { click: () => { this.regex = !pattern; if (input.value) send(!pattern); this.again(); } },
      },
      ".*",
    );
    return make("div", { class: "chroma-nb-joined" }, input, toggle);
  }

  // picking a column

  pick(open) {
    this.picking = open;
    if (open && this.shown.columns.some((column) => column.count === null)) this.act("columns");
    this.again();
    const first = open ? ".chroma-nb-picker input, .chroma-nb-picker button" : "[data-focus=add]";
    this.context.el.querySelector(first)?.focus();
  }

  picker() {
    if (!this.picking) return null;
    const { columns } = this.shown;
    const list = make("div", { class: "chroma-nb-grid" });
    for (const { key, type, count } of columns) {
      if (!this.matches("columns", key)) continue;
      list.append(
        button(
          { class: "chroma-nb-button chroma-nb-column", "data-focus": `column-${key}`, title: `Filter by ${key}`, on: { click: () => this.open(key) } },
          make("span", { class: "chroma-nb-name" }, key),
          make("span", { class: "chroma-nb-type" }, type),
          make("span", { class: "chroma-nb-muted chroma-nb-tally" }, count === null ? "" : whole(count)),
        ),
      );
    }
    const seek = columns.length >= SEARCH_FROM ? this.seeker("columns", "Find a column") : null;
    return make("div", { class: "chroma-nb-card chroma-nb-picker", role: "group", "aria-label": "Columns" }, seek, list);
  }

  open(key) {
    this.picking = false;
    if (this.shown.editors.some((editor) => editor.key === key)) return this.again();
    this.act("open", { key });
    return this.again();
  }

  seeker(list, label) {
    return make("input", {
      type: "text", class: "chroma-nb-input", placeholder: label, "aria-label": label, "data-focus": `seek-${list}`, value: this.sought[list] ?? "",
      on: { input: (event) => { this.sought[list] = event.target.value; this.again(); } },
    });
  }

  matches(list, text) { return text.toLowerCase().includes((this.sought[list] ?? "").toLowerCase()); }

  // chips

  chips() {
    const { chips, document: filter } = this.shown;
    if (chips.length === 0 && filter.label === null) return null;
    const list = make("ul", { class: "chroma-nb-chips", "aria-label": "Active filters" });
    for (const chip of chips) list.append(this.chip(chip));
    if (filter.label !== null) list.append(this.chip({ at: -1, label: filter.label, key: null, custom: filter.custom }));
    return list;
  }

  chip({ at, label, key, custom }) {
    const open = this.shown.editors.some((editor) => editor.key === key);
    const text = key !== null
      ? button(
          { class: "chroma-nb-chip-text", "aria-expanded": String(open), title: open ? "Hide the control" : "Change", "data-focus": `chip-${at}`, on: { click: () => this.act(open ? "fold" : "open", { key }) } },
          label,
        )
      : make("span", { class: `chroma-nb-chip-text${custom ? " chroma-nb-mono" : ""}`, title: label, dir: "auto" }, label);
    return make(
      "li",
      { class: "chroma-nb-chip" },
      text,
      button({ class: "chroma-nb-button chroma-nb-bare", label: `Remove ${label}`, "data-focus": `remove-${at}`, on: { click: () => this.act("remove", { at }) } }, icon("close")),
    );
  }

  // a control for each column

  editors() {
    const { editors } = this.shown;
    if (editors.length === 0) return null;
    return make("div", { class: "chroma-nb-grid chroma-nb-editors" }, ...editors.map((editor) => this.editor(editor)));
  }

  editor(editor) {
    const { key, kind, count, other } = editor;
    const parts = { number: () => this.range(editor), choice: () => this.values(editor), text: () => this.text(editor), bool: () => this.flag(editor) }[kind];
    return make(
      "section",
      { class: "chroma-nb-card", "aria-label": `Filter by ${key}` },
      make(
        "header",
        { class: "chroma-nb-head" },
        make("strong", { class: "chroma-nb-name", title: key }, key),
        make("span", { class: "chroma-nb-muted" }, `${whole(count)} values`),
        make("span", { class: "chroma-nb-space" }),
        button({ class: "chroma-nb-button chroma-nb-bare", label: `Hide the control of ${key}`, "data-focus": `fold-${key}`, on: { click: () => this.act("fold", { key }) } }, icon("close")),
      ),
      parts ? parts() : make("div", { class: "chroma-nb-muted" }, count ? "Values of several types: filter from code, with .where." : "No values."),
      other ? make("div", { class: "chroma-nb-muted" }, `Now: ${other}. What you choose here replaces it.`) : null,
    );
  }

  text({ key, text }) {
    const input = make("input", {
      type: "text", class: "chroma-nb-input", placeholder: "contains", "aria-label": `${key} contains`, "data-focus": `text-${key}`, value: text, dir: "auto", spellcheck: "false",
    });
    return typed(input, (text) => this.act("contains", { key, text }));
  }

  flag({ key, value, yes, no }) {
    const options = [[null, "Any"], [true, `Yes ${whole(yes)}`], [false, `No ${whole(no)}`]];
    return choice(key, options, value, (chosen) => this.act("flag", { key, value: chosen }), `flag-${key}`);
  }

  values({ key, values }) {
    const list = `values-${key}`;
    const most = Math.max(1, ...values.map((value) => value[1]));
    const box = make("div", { class: "chroma-nb-values", role: "group", "aria-label": key, "data-scroll": list });
    const toggle = () => this.act("choose", { key, values: values.map(([text], at) => [text, at]).filter(([, at]) => on(at)).map(([text]) => text) });
    const boxes = new Map();
    const on = (at) => (boxes.has(at) ? boxes.get(at).checked : values[at][2]);
    values.forEach(([text, count, chosen], at) => {
      if (!this.matches(list, text)) return;
      const check = make("input", { type: "checkbox", checked: chosen, "data-focus": `${list}-${at}`, on: { change: toggle } });
      boxes.set(at, check);
      const share = make("span", { class: "chroma-nb-share", "aria-hidden": "true" });
      share.style.width = `${(100 * count) / most}%`;
      const name = make("span", { class: "chroma-nb-name", dir: "auto", title: text }, text.trim() ? text : JSON.stringify(text));
      box.append(make("label", { class: "chroma-nb-value" }, share, check, name, make("span", { class: "chroma-nb-muted chroma-nb-tally" }, whole(count))));
    });
    const seek = values.length >= SEARCH_FROM ? this.seeker(list, `Find among ${values.length} values`) : null;
    return make("div", { class: "chroma-nb-stack" }, seek, box);
  }

  range(editor) { return new Range(editor, (low, high) => this.act("range", { key: editor.key, low, high })).element; }

  // as code

  code() {
    const { code } = this.shown;
    if (!code) return null;
    const details = make(
      "details",
      { class: "chroma-nb-details", open: this.showsCode, on: { toggle: (event) => { this.showsCode = event.target.open; } } },
      make("summary", { class: "chroma-nb-muted", "data-focus": "code" }, "As code"),
      make("div", { class: "chroma-nb-joined" }, make("pre", { class: "chroma-nb-code", tabindex: 0 }, code), copier(code)),
    );
    return details;
  }
}

function copier(text) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = make("textarea", { class: "chroma-nb-aside" }); // pages without https may not use the clipboard
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    self.replaceChildren(icon("check"), "Copied");
    setTimeout(() => self.replaceChildren(icon("copy"), "Copy"), 1500);
  };
  const self = button({ class: "chroma-nb-button", "data-focus": "copy", on: { click: copy } }, icon("copy"), "Copy");
  return self;
}

function render(context) {
  const filters = new Filters(context);
  return follow(context, "filters", (shown) => filters.draw(shown));
}

export default { render };
