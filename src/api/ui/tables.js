// A table that on a narrow screen is a list of cards; the roles are said, as `display` takes a
// table's own away.
import {el, keyed, setClass, setText} from "./dom.js";

export class Table {
  // `columns`: {title, class}. `make(item)`: {cells: [...], update(item)}, a cell for each column.
  constructor({label, columns, keyOf, make, empty}) {
    this.keyOf = keyOf;
    this.make = make;
    this.columns = columns;
    this.body = el("tbody", {role: "rowgroup"});
    this.empty = el("p", {class: "empty"}, empty);
    this.table = el("table", {role: "table", "aria-label": label},
      el("thead", {role: "rowgroup"}, el("tr", {role: "row"}, columns.map(({title, class: name}) =>
        el("th", {role: "columnheader", scope: "col", class: name}, title)))),
      this.body);
    this.element = el("div", {class: "table"}, this.table, this.empty);
  }

  show(items, empty) {
    keyed(this.body, items, this.keyOf, (item) => this.row(item));
    if (empty !== undefined) setText(this.empty, empty);
    setClass(this.element, "is-empty", items.length === 0);
  }

  row(item) {
    const {cells, update} = this.make(item);
    const element = el("tr", {role: "row"}, this.columns.map(({title, class: name}, i) =>
      el("td", {role: "cell", class: name, "data-title": title}, cells[i])));
    return {element, update: (now) => update(now, element)};
  }
}
