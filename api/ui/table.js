// A table that scrolls by itself where it is wider than the page, and can be reached by keyboard for that.

import { h } from "./dom.js";

/** `head` are the columns' names, `rows` are `tr` elements. */
export function table(label, head, rows) {
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, h("table", { class: "grid" }, h("thead", {}, h("tr", {}, head.map((words) => h("th", { scope: "col" }, words)))), h("tbody", {}, rows)));
}
