// The Quality view: live numbers, evaluation reports as plots, judging by clicking.

import { h } from "./dom.js";
import * as judge from "./judge.js";
import * as live from "./live.js";
import * as runs from "./runs.js";
import { T } from "./text.js";

/** Builds the view into its element. */
export function start(view) {
  view.append(h("h1", { class: "unseen" }, T.views.quality), live.section(), runs.section(), judge.section());
}
