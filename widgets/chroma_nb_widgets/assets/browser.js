// The list of collections, and what is known about the one looked at. What is typed into a form is known here only.

import { button, follow, icon, make, redraw, tell, whole } from "./page.js";

const MANY = 10; // with more collections there is a box to search their names

class Browser {
  constructor(context) {
    this.context = context;
    this.search = "";
    this.draft = {};
  }

  draw(shown) {
    if (shown.asking !== this.shown?.asking || shown.chosen !== this.shown?.chosen) this.draft = {};
    this.shown = shown;
    const { el } = this.context;
    const parts = [this.banner(), this.bar(), shown.asking === "create" ? this.creation() : null, this.list(), this.detail()];
    redraw(el, () => el.replaceChildren(...parts.filter(Boolean)));
    if (shown.asking && shown.asking !== this.asked) el.querySelector("form input")?.focus();
    this.asked = shown.asking;
  }

  act(action, given) { tell(this.context, action, given); }

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

  bar() {
    const { location, rows } = this.shown;
    const many = `${whole(rows.length)} ${rows.length === 1 ? "collection" : "collections"}`;
    return make(
      "div",
      { class: "chroma-nb-toolbar" },
      make("strong", {}, many),
      make("span", { class: "chroma-nb-muted chroma-nb-name", title: location }, location),
      make("span", { class: "chroma-nb-space" }),
      rows.length > MANY ? this.box() : null,
      button({ class: "chroma-nb-button chroma-nb-quiet", "data-focus": "refresh", title: "Look again at what there is", on: { click: () => this.act("refresh") } }, "Refresh"),
      button({ "data-focus": "create", on: { click: () => this.act("ask", { what: "create" }) } }, icon("plus"), "New collection"),
    );
  }

  box() {
    return make("input", {
      type: "text", class: "chroma-nb-input chroma-nb-search", placeholder: "Search names", "aria-label": "Search names of collections", value: this.search,
      "data-focus": "search", spellcheck: "false", autocomplete: "off",
      on: { input: (event) => { this.search = event.target.value; this.draw(this.shown); } },
    });
  }

  // the list

  list() {
    const { rows } = this.shown;
    const wanted = this.search.trim().toLowerCase();
    const found = rows.length > MANY && wanted ? rows.filter((row) => row.name.toLowerCase().includes(wanted)) : rows;
    if (!found.length) {
      const text = rows.length ? `No collection has “${this.search.trim()}” in its name.` : "No collections yet.";
      return make("div", { class: "chroma-nb-nothing", role: "status" }, text);
    }
    const heads = [["Name"], ["Items", true], ["Dimension", true], ["Space"], ["Metadata"], ["Embedding function"], ["Size", true]];
    const head = make("tr", {}, ...heads.map(([text, number]) => header(text, number)));
    const chosen = Math.max(0, found.findIndex((row) => row.name === this.shown.chosen));
    const body = make("tbody", { on: { keydown: (event) => this.key(event) } }, ...found.map((row, at) => this.row(row, at === chosen)));
    const table = make("table", { role: "grid", "aria-label": "Collections" }, make("thead", {}, head), body);
    return make("div", { class: "chroma-nb-scroll chroma-nb-collections", "data-scroll": "collections" }, table);
  }

  row(row, focusable) {
    const { chosen } = this.shown;
    const keys = row.keys.map(([name, type]) => `${name} (${type})`).join(", ");
    const cells = [
      make("td", {}, make("div", { class: "chroma-nb-cell", title: row.name }, make("strong", {}, row.name))),
      number(whole(row.count)),
      number(row.dimension === null ? null : whole(row.dimension)),
      make("td", {}, row.space),
      make("td", { class: "chroma-nb-long" }, row.keys.length ? make("div", { class: "chroma-nb-cell chroma-nb-muted", title: keys }, ...keyed(row.keys)) : missing()),
      make("td", {}, row.function === null ? missing() : make("div", { class: "chroma-nb-cell", title: row.function }, row.function)),
      make("td", { class: "chroma-nb-number", title: row.title }, row.size),
    ];
    return make(
      "tr",
      {
        tabindex: focusable ? 0 : -1, "data-at": row.name, "data-focus": `row-${row.name}`, "aria-selected": String(row.name === chosen),
        on: { click: () => this.choose(row.name) },
      },
      ...cells,
    );
  }

  choose(name) {
    if (String(getSelection())) return; // somebody marks text
    this.act("choose", { name });
  }

  key(event) {
    const here = event.target.closest("tr[data-at]");
    if (!here || event.target !== here || event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = [...here.parentElement.children];
    const at = rows.indexOf(here);
    const actions = {
      ArrowDown: () => rows[Math.min(at + 1, rows.length - 1)].focus(),
      ArrowUp: () => rows[Math.max(at - 1, 0)].focus(),
      Home: () => rows[0].focus(),
      End: () => rows.at(-1).focus(),
      Enter: () => this.act("choose", { name: here.dataset.at }),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  // the one looked at

  detail() {
    const { chosen, open, asking } = this.shown;
    if (chosen === null) return this.shown.rows.length ? make("div", { class: "chroma-nb-muted" }, "Choose a collection to look into it.") : null;
    const more = { rename: () => this.renaming(), delete: () => this.deletion() }[asking];
    const facts = this.shown.facts.map(([name, text]) => make("div", {}, make("span", { class: "chroma-nb-muted" }, name), make("span", { dir: "auto" }, text)));
    return make(
      "section",
      { class: "chroma-nb-card chroma-nb-looked", "aria-label": `Collection ${chosen}` },
      make(
        "div",
        { class: "chroma-nb-toolbar" },
        make("strong", { class: "chroma-nb-name" }, chosen),
        make("span", { class: "chroma-nb-space" }),
        button({ class: "chroma-nb-button chroma-nb-primary", "data-focus": "open", on: { click: () => this.act(open ? "hide" : "open") } }, open ? "Hide explorer" : "Open explorer"),
        button({ "data-focus": "rename", on: { click: () => this.act("ask", { what: "rename" }) } }, "Rename"),
        button({ "data-focus": "delete", on: { click: () => this.act("ask", { what: "delete" }) } }, "Delete"),
      ),
      more ? more() : null,
      open ? null : make("div", { class: "chroma-nb-facts" }, ...facts),
      open ? null : this.peek(),
    );
  }

  peek() {
    const { peek } = this.shown;
    if (peek.problem) return make("div", { class: "chroma-nb-muted" }, peek.problem);
    if (!peek.rows.length) return make("div", { class: "chroma-nb-nothing", role: "status" }, "The collection is empty.");
    const head = make("tr", {}, ...peek.columns.map(({ name, number }) => header(name, number)));
    const body = make("tbody", {});
    for (const cells of peek.rows) {
      const row = make("tr", {});
      cells.forEach((text, at) => {
        const { name, number: right } = peek.columns[at];
        const kind = right ? "chroma-nb-number" : name === "document" ? "chroma-nb-long" : at === 0 ? "chroma-nb-id" : null;
        row.append(make("td", { class: kind }, text === null ? missing() : make("div", { class: "chroma-nb-cell", title: text, dir: right ? null : "auto" }, text)));
      });
      body.append(row);
    }
    const table = make("table", { "aria-label": "First rows" }, make("thead", {}, head), body);
    return make("div", { class: "chroma-nb-scroll", "data-scroll": "peek" }, table);
  }

  // forms

  creation() {
    const { spaces, functions } = this.shown;
    const space = make("select", { class: "chroma-nb-input", "aria-label": "Space", on: { change: (event) => { this.draft.space = event.target.value; } } });
    for (const [value, text] of spaces) space.append(make("option", { value, selected: value === (this.draft.space ?? "l2") }, text));
    const known = make("datalist", { id: `chroma-nb-functions-${this.context.model.model_id ?? ""}` }, ...functions.map((name) => make("option", { value: name })));
    const send = () => this.act("create", {
      name: this.draft.name ?? "", space: this.draft.space ?? "l2", function: this.draft.function ?? "", metadata: this.draft.metadata ?? "",
    });
    return this.form(
      "New collection", "Create", send,
      field("Name", this.typed("name", { placeholder: "3–63 letters, digits, . _ -" })),
      field("Space", space),
      field("Embedding function", this.typed("function", { placeholder: "all-MiniLM-L6-v2", list: known.id, title: "A name such as wordllama or openai:text-embedding-3-small; “none” for vectors of your own" }), known),
      field("Metadata (optional)", this.typed("metadata", { placeholder: '{"owner": "me"}' })),
    );
  }

  renaming() {
    const { chosen } = this.shown;
    this.draft.rename ??= chosen;
    return this.form("Rename", "Rename", () => this.act("rename", { name: this.draft.rename }), field("New name", this.typed("rename")));
  }

  deletion() {
    const { text, typed, name } = this.shown.deletion;
    const send = () => this.act("delete", { typed: this.draft.confirm ?? "" });
    const confirm = typed ? field("Name", this.typed("confirm", { placeholder: name })) : null;
    return this.form(text, "Delete", send, confirm);
  }

  form(text, verb, send, ...fields) {
    const cancel = () => this.act("ask", { what: null });
    const submit = (event) => { event.preventDefault(); send(); };
    // A notebook takes Enter before a form sees it.
    const pressed = (event) => {
      if (event.key === "Escape") cancel();
      else if (event.key === "Enter" && !event.isComposing && event.target.matches("input")) submit(event);
    };
    return make(
      "form",
      {
        class: `chroma-nb-card chroma-nb-ask${verb === "Delete" ? " chroma-nb-danger" : ""}`, "aria-label": text,
        on: { submit, keydown: pressed },
      },
      make("div", { class: "chroma-nb-said" }, text),
      make("div", { class: "chroma-nb-fields" }, ...fields.filter(Boolean)),
      make(
        "div",
        { class: "chroma-nb-toolbar" },
        make("span", { class: "chroma-nb-space" }),
        button({ class: "chroma-nb-button chroma-nb-quiet", "data-focus": "cancel", on: { click: cancel } }, "Cancel"),
        button({ class: "chroma-nb-button chroma-nb-primary", type: "submit", "data-focus": "send" }, verb),
      ),
    );
  }

  typed(name, attributes = {}) {
    return make("input", {
      type: "text", class: "chroma-nb-input", value: this.draft[name] ?? "", "data-focus": `typed-${name}`, spellcheck: "false", autocomplete: "off",
      on: { input: (event) => { this.draft[name] = event.target.value; } }, ...attributes,
    });
  }
}

function field(text, ...inputs) { return make("label", { class: "chroma-nb-stacked" }, make("span", { class: "chroma-nb-muted" }, text), ...inputs); }

function header(text, number) {
  return make("th", { scope: "col", class: number ? "chroma-nb-number" : null }, make("span", { class: "chroma-nb-sort", title: text }, make("span", { class: "chroma-nb-name" }, text)));
}

function number(text) { return make("td", { class: "chroma-nb-number" }, text ?? missing()); }

function missing() { return make("span", { class: "chroma-nb-missing", "aria-label": "none" }, "–"); }

function keyed(keys) {
  return keys.flatMap(([name, type], at) => [at ? ", " : "", name, " ", make("span", { class: "chroma-nb-type" }, type)]);
}

function render(context) {
  const browser = new Browser(context);
  return follow(context, "browser", (shown) => browser.draw(shown));
}

export default { render };
