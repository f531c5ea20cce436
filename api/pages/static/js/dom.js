// Elements without markup strings: nothing from the API is ever parsed as HTML.
const SVG = "http://www.w3.org/2000/svg";

function fill(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child == null || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

function attribute(node, name, value) {
  if (value == null || value === false) return;
  if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
  else if (name === "style") for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one);
  else node.setAttribute(name, value === true ? "" : value);
}

/** An HTML element: h("button", {class: "x", onclick: f, style: {"--w": 1}}, "text", node…). */
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) attribute(node, name, value);
  return fill(node, children);
}

/** The same for SVG. */
export function s(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) attribute(node, name, value);
  return fill(node, children);
}

export const icon = (name) =>
  s("svg", { class: "icon", "aria-hidden": "true", viewBox: "0 0 16 16" }, s("use", { href: `#i-${name}` }));

export const categoryIcon = (category) => h("span", { class: `category ${category}` }, icon(category));

/** Replaces what a node holds, keeping the keyboard's focus on the control with the same data-key. */
export function draw(node, ...children) {
  const focused = node.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  node.replaceChildren();
  fill(node, children);
  if (focused) node.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  return node;
}

export const byId = (id) => document.getElementById(id);
export const narrow = matchMedia("(max-width: 720px)");
export const calm = matchMedia("(prefers-reduced-motion: reduce)");
