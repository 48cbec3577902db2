// A page of rows. What is unfolded, and which row has the focus, is known here only.

import { button, choice, follow, icon, make, redraw, tell, whole } from "./page.js";

class Table {
  constructor(context) {
    this.context = context;
    this.unfolded = new Map(); // id -> parts, null until they have come
    this.chosen = null;
  }

  draw(shown) {
    this.shown = shown;
    const { el } = this.context;
    const ids = new Set(shown.rows.map((row) => row.id));
    for (const id of this.unfolded.keys()) if (!ids.has(id)) this.unfolded.delete(id);
    redraw(el, () => el.replaceChildren(this.bar(), shown.rows.length ? this.grid() : this.nothing()));
  }

  act(action, given) { tell(this.context, action, given); }

  // above the rows

  bar() {
    const { tabs, showing } = this.shown;
    const options = tabs.map(([name, text, count]) => [name, `${text} ${whole(count)}`]);
    const show = (name) => this.act("show", { name });
    return make(
      "div",
      { class: "chroma-nb-toolbar chroma-nb-table-bar" },
      options.length ? choice("Which rows", options, showing, show, "tab") : null,
      make("span", { class: "chroma-nb-space" }),
      ...this.pager(),
    );
  }

  pager() {
    const { total, page, size, sizes } = this.shown;
    const last = Math.max(0, Math.ceil(total / size) - 1);
    const turn = (name, label, off, action, given) =>
      button({ class: "chroma-nb-button chroma-nb-bare", label, disabled: off, "data-focus": name, on: { click: () => this.act(action, given) } }, icon(name));
    const first = page * size + 1;
    const here = total === 0 ? "0 rows" : `${whole(first)}–${whole(Math.min(total, first + size - 1))} of ${whole(total)}`;
    const select = make("select", {
      class: "chroma-nb-input", "aria-label": "Rows of a page", title: "Rows of a page", "data-focus": "size",
      on: { change: (event) => this.act("size", { size: Number(event.target.value) }) },
    });
    for (const each of sizes) select.append(make("option", { value: each, selected: each === size }, `${each} rows`));
    return [
      make("span", { class: "chroma-nb-muted chroma-nb-count", "aria-live": "polite" }, here),
      make(
        "div",
        { class: "chroma-nb-pager", role: "group", "aria-label": "Pages" },
        turn("first", "First page", page === 0, "page", { page: 0 }),
        turn("previous", "Previous page", page === 0, "turn", { by: -1 }), // from where it is when the click arrives
        turn("next", "Next page", page >= last, "turn", { by: 1 }),
        turn("last", "Last page", page >= last, "page", { page: last }),
      ),
      select,
    ];
  }

  nothing() {
    const { nothing, filtered } = this.shown;
    const clear = () => this.act("clear");
    return make(
      "div",
      { class: "chroma-nb-nothing", role: "status" },
      make("div", {}, nothing),
      filtered ? button({ "data-focus-last": true, on: { click: clear } }, "Clear filters") : null,
    );
  }

  // the rows

  grid() {
    const { columns, rows, showing } = this.shown;
    const head = make("tr", {}, make("th", { class: "chroma-nb-tools", "aria-label": "Tools" }), ...columns.map((column) => this.header(column)));
    const body = make("tbody", { on: { keydown: (event) => this.key(event) } });
    const focus = rows.findIndex((row) => row.id === this.chosen);
    rows.forEach((row, at) => {
      body.append(this.row(row, at, at === Math.max(0, focus)));
      if (this.unfolded.get(row.id)) body.append(this.detail(row));
    });
    const label = { rows: "Rows", results: "Results", selection: "Selection" }[showing] ?? "Rows";
    const table = make("table", { role: "grid", "aria-label": label }, make("thead", {}, head), body);
    return make("div", { class: "chroma-nb-scroll", "data-scroll": "rows" }, table);
  }

  header({ name, type, number, sortable, order }) {
    const words = [make("span", { class: "chroma-nb-name" }, name)];
    if (order) words.push(icon(order === "ascending" ? "up" : "down"));
    if (type && type !== "distance") words.push(make("span", { class: "chroma-nb-type" }, type));
    const next = { null: "Sort ascending", ascending: "Sort descending", descending: "Back to the first order" }[order];
    const sort = () => this.act("sort", { column: name });
    const inside = sortable
      ? button({ class: "chroma-nb-sort", title: `${name}: ${next}`, "data-focus": `sort-${name}`, on: { click: sort } }, ...words)
      : make("span", { class: "chroma-nb-sort", title: name }, ...words);
    return make("th", { scope: "col", class: kind(name, number), "aria-sort": order ?? (sortable ? "none" : null) }, inside);
  }

  row(row, at, focusable) {
    const { columns } = this.shown;
    const open = this.unfolded.has(row.id);
    const tools = make(
      "td",
      { class: "chroma-nb-tools" },
      button(
        { class: "chroma-nb-button chroma-nb-bare chroma-nb-unfold", label: open ? "Fold" : "Show all of it", tabindex: -1, "aria-expanded": String(open), on: { click: (event) => this.unfold(event, row.id) } },
        icon("unfold"),
      ),
      button(
        { class: "chroma-nb-button chroma-nb-bare chroma-nb-like", label: `More like ${row.id}`, tabindex: -1, on: { click: (event) => this.like(event, row.id) } },
        icon("like"),
      ),
    );
    const cells = columns.map((column, place) => cell(column, place === 0 ? row.id : row.cells[place - 1], row.share));
    return make(
      "tr",
      {
        tabindex: focusable ? 0 : -1, "data-at": at, "data-focus": `row-${at}`, "aria-selected": String(row.id === this.chosen),
        on: { click: () => this.click(row.id) },
      },
      tools,
      ...cells,
    );
  }

  detail(row) {
    const pairs = make("div", { class: "chroma-nb-detail" }); // no <dl>: the notebook has rules of its own for it
    for (const [name, text, cut] of this.unfolded.get(row.id)) {
      pairs.append(make("div", { class: "chroma-nb-muted" }, name), make("div", { class: "chroma-nb-full", dir: "auto" }, cut ? `${text}…` : text));
    }
    return make("tr", { class: "chroma-nb-unfolded" }, make("td", { colspan: this.shown.columns.length + 1 }, pairs));
  }

  // what is done with a row

  click(id) {
    const marked = getSelection();
    if (marked.isCollapsed || !this.context.el.contains(marked.anchorNode)) this.choose(id); // else somebody marks text
  }

  choose(id) {
    this.chosen = id;
    this.mark();
    this.act("row", { id });
  }

  like(event, id) {
    event.stopPropagation();
    this.act("like", { id });
  }

  unfold(event, id) {
    event?.stopPropagation();
    if (this.unfolded.delete(id)) return this.draw(this.shown);
    this.unfolded.set(id, null);
    this.act("detail", { id });
  }

  told(message) {
    if (message.kind !== "detail" || !this.unfolded.has(message.id)) return;
    this.unfolded.set(message.id, message.parts);
    this.draw(this.shown);
  }

  mark() {
    const { el } = this.context;
    for (const row of el.querySelectorAll("tbody tr[data-at]")) {
      const chosen = this.shown.rows[row.dataset.at]?.id === this.chosen;
      row.setAttribute("aria-selected", String(chosen));
      row.tabIndex = chosen || (this.chosen === null && row.dataset.at === "0") ? 0 : -1;
    }
  }

  key(event) {
    const here = event.target.closest("tr[data-at]");
    if (!here || event.target !== here || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = Number(here.dataset.at);
    const { id } = this.shown.rows[at];
    const actions = {
      ArrowDown: () => this.focus(at + 1),
      ArrowUp: () => this.focus(at - 1),
      Home: () => this.focus(0),
      End: () => this.focus(this.shown.rows.length - 1),
      Enter: () => this.choose(id),
      " ": () => this.unfold(null, id),
      m: () => this.act("like", { id }),
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  focus(at) {
    const rows = [...this.context.el.querySelectorAll("tbody tr[data-at]")];
    const next = rows[Math.min(Math.max(0, at), rows.length - 1)];
    for (const row of rows) row.tabIndex = row === next ? 0 : -1;
    next?.focus();
  }
}

function kind(name, number) {
  return name === "document" ? "chroma-nb-long" : number ? "chroma-nb-number" : name === "id" ? "chroma-nb-id" : null;
}

function cell({ name, type, number }, text, share) {
  if (text === null) return make("td", { class: "chroma-nb-missing" }, make("span", { "aria-label": "no value" }, "–"));
  const inside = make("div", { class: "chroma-nb-cell", title: text, dir: number ? null : "auto" }, text);
  if (type === "distance") {
    const bar = make("span", { class: "chroma-nb-bar", "aria-hidden": "true" }, make("span"));
    bar.firstChild.style.width = `${(share ?? 0) * 100}%`;
    return make("td", { class: "chroma-nb-number chroma-nb-distance" }, make("div", { class: "chroma-nb-cell" }, bar, text));
  }
  return make("td", { class: kind(name, number) }, inside);
}

function render(context) {
  const table = new Table(context);
  const told = (message) => table.told(message);
  context.model.on("msg:custom", told);
  const end = follow(context, "table", (shown) => table.draw(shown));
  return () => {
    context.model.off("msg:custom", told);
    end();
  };
}

export default { render };
