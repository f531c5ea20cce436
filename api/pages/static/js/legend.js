// The legend: real classes, how many units in each, and a way to look at one of them alone.
import { WITHHELD, withheldRange } from "./classes.js";
import { byId, draw, h, icon } from "./dom.js";
import { number, t } from "./i18n.js";
import { around } from "./states.js";

const swatch = (one) =>
  h("span", {
    class: `swatch${one.hatch ? " hatch" : ""}`,
    style: one.hatch ? {} : { background: `var(--${one.token})` },
  });

function row(one, widest, isolated, act) {
  const label = isolated === one.k ? t("legend.all") : t("legend.isolate", { label: one.label });
  return h(
    "li",
    {},
    h(
      "button",
      {
        type: "button",
        class: "class",
        "aria-pressed": String(isolated === one.k),
        "aria-label": `${one.label}: ${number(one.count)}. ${label}`,
        "data-key": `class-${one.k}`,
        onclick: () => act.isolate(isolated === one.k ? null : one.k),
        onmouseenter: () => act.highlight(one.k),
        onmouseleave: () => act.highlight(null),
        onfocus: () => act.highlight(one.k),
        onblur: () => act.highlight(null),
      },
      swatch(one),
      h("span", { class: "name" }, one.label),
      h("span", { class: "track" }, h("i", { style: { width: `${(100 * one.count) / widest}%` } })),
      h("span", { class: "mid number" }, number(one.count)),
    ),
  );
}

function layers(state, set) {
  const toggle = (name) =>
    set({ layers: state.layers.includes(name) ? state.layers.filter((one) => one !== name) : [...state.layers, name] });
  return h(
    "div",
    { class: "layers", role: "group", "aria-label": t("layers") },
    h("b", {}, t("layers")),
    ["streets", "buildings", "labels"].map((name) =>
      h(
        "label",
        { class: "check" },
        h("input", {
          type: "checkbox",
          checked: state.layers.includes(name),
          "data-key": `layer-${name}`,
          onchange: () => toggle(name),
        }),
        t(`layers.${name}`),
      ),
    ),
  );
}

/** A ramp in one line, for the phone and the wall. */
function compact(by, scheme) {
  const ramp = scheme.classes.filter((one) => !one.hatch && one.k > 0).reverse();
  const hatch = scheme.classes.find((one) => one.k === WITHHELD);
  const cell = (one, text) => h("span", {}, swatch(one), h("span", {}, text));
  return h(
    "div",
    { class: "ramp", "aria-hidden": "true" },
    h("b", {}, by === "hex" ? t("wall.hex") : t(`measure.${scheme.measure}`)),
    h(
      "div",
      { class: "cells" },
      ramp.map((one) => cell(one, one.label.replace(/ – .*/, ""))),
      hatch ? cell(hatch, scheme.range) : null,
    ),
  );
}

/** Draws the legend. `heat` is the resource's state; `act` has isolate(k), highlight(k), retry(). */
export function drawLegend(state, heat, scheme, isolated, act) {
  const panel = byId("legend");
  const frame = around(heat, "what.heat", act.retry, 6);
  if (frame.instead || !scheme) {
    draw(
      panel,
      h("header", { class: "head" }, h("h2", {}, t(`legend.${state.by === "hex" ? "hex" : state.measure}`))),
      frame.instead,
      layers(state, act.set),
    );
    return;
  }
  const { measure, withholdBelow, by } = heat.data;
  const key = by === "hex" ? "hex" : measure;
  const widest = Math.max(1, ...scheme.classes.map((one) => one.count));
  const hidden = scheme.classes.some((one) => one.k === WITHHELD) && measure !== "change";
  const steps = scheme.classes.filter((one) => one.k > 0).length;
  draw(
    panel,
    h(
      "header",
      { class: "head" },
      h("h2", {}, t(`legend.${key}`)),
      h("span", { class: "mid small" }, t("legend.classes", { n: steps })),
    ),
    h("p", { class: "note sub" }, t(`legend.sub.${key}`)),
    frame.above,
    h(
      "ul",
      { class: "classes" },
      scheme.classes.map((one) => row(one, widest, isolated, act)),
    ),
    h(
      "p",
      { class: "note foot" },
      hidden ? t("legend.note", { range: withheldRange(withholdBelow) }) : t("legend.note_open"),
    ),
    isolated == null
      ? null
      : h(
          "button",
          { type: "button", class: "link", "data-key": "class-all", onclick: () => act.isolate(null) },
          icon("close"),
          t("legend.all"),
        ),
    layers(state, act.set),
  );
  drawCompact(by, { ...scheme, measure, range: withheldRange(withholdBelow) });
}

function drawCompact(by, scheme) {
  let node = byId("compact");
  if (!node) {
    node = h("div", { class: "card compact", id: "compact" });
    byId("legend").parentElement.after(node);
  }
  draw(node, compact(by, scheme));
}
