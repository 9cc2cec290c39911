// Makes elements: text becomes text, never markup. Also the page's dialog and its voice for screen readers.

import { T } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, to] of Object.entries(value)) element.style.setProperty(key, to);
    else if (name in element && !name.includes("-") && !(element instanceof SVGElement) && name !== "list" && name !== "form") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An HTML element; `class` and `for` are written as in HTML, `style` is an object, `onclick` and the like are listeners. */
export function h(tag, properties, ...children) {
  const { class: name, for: target, ...rest } = properties ?? {};
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (target) element.htmlFor = target;
  return fill(element, rest, children);
}

/** An SVG element. */
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

const DRAWN = {
  close: "M4 4l8 8M12 4l-8 8", left: "M10 3L5 8l5 5", right: "M6 3l5 5-5 5", plus: "M8 3v10M3 8h10", minus: "M3 8h10",
  up: "M5 7v7M5 7l3-5.500c1.500 0 1.800 1.200 1.500 2.500L9 6.500h4l-1.200 6.300c-.1.700-.6 1.200-1.300 1.200H5M2.500 7H5v7H2.500z",
  down: "M11 9V2M11 9l-3 5.500c-1.500 0-1.800-1.200-1.500-2.500L7 9.500H3l1.200-6.300C4.300 2.500 4.800 2 5.500 2H11M13.500 9H11V2h2.500z",
  target: "M8 1v3M8 12v3M1 8h3M12 8h3M8 5.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 1 0 0-5",
};

/** One of the page's few drawn signs; it says nothing to a screen reader. */
export function icon(name) {
  return s("svg", { viewBox: "0 0 16 16", width: "16", height: "16", "aria-hidden": "true", class: "icon" }, s("path", { d: DRAWN[name] }));
}

/** A button with a sign instead of words. */
export function iconButton(name, label, onclick) {
  return h("button", { type: "button", class: "quiet square", "aria-label": label, title: label, onclick }, icon(name));
}

/** The element with this id. */
export const at = (id) => document.getElementById(id);

/** Says something to those who do not see the page. */
export function announce(text) {
  at("voice").textContent = text;
}

/** Shows a line of state; `tone` is "", "good", "bad" or "warn". */
export function say(element, text, tone = "") {
  element.textContent = text;
  element.className = ["status", tone].filter(Boolean).join(" ");
}

/** Asks in a dialog; resolves to the values of its fields, or null if it was dismissed. */
export function ask({ title, body, action, tone, fields = [] }) {
  return new Promise((resolve) => {
    const inputs = fields.map(({ name, label, type = "text", hint, options, value, ...more }) => {
      if (options) {
        const choice = h("select", { name, id: `field-${name}`, ...more }, options.map(([key, words]) => h("option", { value: key, selected: key === value }, words)));
        return h("p", {}, h("label", { for: choice.id }, label), choice, hint ? h("small", {}, hint) : null);
      }
      const input = h("input", { type, name, id: `field-${name}`, autocomplete: "off", spellcheck: "false", required: true, value, ...more });
      return h("p", {}, h("label", { for: input.id }, label), input, hint ? h("small", {}, hint) : null);
    });
    const form = h("form", { method: "dialog" },
      h("h2", { id: "dialog-title" }, title), body ? h("p", {}, body) : null, inputs,
      h("p", { class: "acts" },
        h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, T.cancel),
        h("button", { class: tone === "bad" ? "go danger" : "go" }, action)));
    const dialog = h("dialog", { class: "dialog", "aria-labelledby": "dialog-title" }, form);
    let result = null;
    form.addEventListener("submit", () => {
      result = Object.fromEntries(new FormData(form));
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
