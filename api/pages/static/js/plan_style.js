// The desk's map: grids by whether their households are in range, what is being drawn, buildings, the base beneath.
import { BOLD, EMPTY, ramp, REGULAR, sources, streetNames, streets } from "./mapstyle.js";
import { isDark } from "./tokens.js";

const drawn = (name, source, type, paint, more = {}) => ({ id: name, type, source, paint, ...more });
const round = { layout: { "line-join": "round", "line-cap": "round" } };
const mark = ["coalesce", ["feature-state", "mark"], "none"];
const byMark = (over, under, ok, none) => ["match", mark, "over", over, "under", under, "ok", ok, none];
const state = (name, yes, no) => ["case", ["boolean", ["feature-state", name], false], yes, no];

export const REDRAWN_WIDTH = ramp(12, 0.9, 15, 2, 17, 2.6);

function ground(c, { basemap, scope }) {
  const outside = ["!=", ["slice", ["get", "code"], 0, scope.length], scope];
  return [
    { id: "ground", type: "background", paint: { "background-color": c.paper } },
    ...(basemap
      ? [{ id: "basemap", type: "raster", source: "basemap", paint: { "raster-saturation": -0.6, "raster-opacity": 0.7 } }]
      : []),
    drawn("land", "areas", "fill", { "fill-color": c.surface, "fill-opacity": basemap ? 0.3 : 0.55 }, {
      "source-layer": "areas",
      filter: ["==", ["get", "kind"], "county"],
    }),
    drawn("outside-line", "grids", "line", { "line-color": c["ink-3"], "line-opacity": 0.35, "line-width": 0.7 }, {
      "source-layer": "grids",
      filter: ["all", ["==", ["get", "kind"], "micro"], outside],
    }),
  ]; // prettier-ignore
}

function grids(c) {
  return [
    drawn("plan-fill", "plan", "fill", {
      "fill-color": byMark(c.danger, c["warn-fill"], c["ok-weak"], c.surface),
      "fill-opacity": byMark(0.26, 0.34, isDark() ? 0.85 : 0.92, 0.6),
    }),
    drawn("plan-hover", "plan", "fill", { "fill-color": c.brand, "fill-opacity": state("picked", 0.18, 0) }),
  ];
}

function buildings(c) {
  const tile = { "source-layer": "buildings", minzoom: 15 };
  const moved = ["coalesce", ["feature-state", "moved"], ""];
  // Built since the base edition; where the map was told of none, or of no household, nothing is.
  const added = [">=", ["coalesce", ["get", "added_in"], -1], ["coalesce", ["global-state", "base"], 1e9]];
  const tint = (other) => ["match", moved, "over", c.danger, "under", c["warn-fill"], ["ok", "none"], c.brand, ["case", added, c.dispute, other]];
  const empty = ["==", ["get", "households"], 0];
  return [
    drawn("building", "buildings", "fill", {
      "fill-color": state("picked", c.brand, tint(c.building)),
      "fill-opacity": state("picked", 0.85, ["case", ["any", ["!=", moved, ""], added], 0.5, empty, 0.45, 0.95]),
      "fill-outline-color": tint(c["line-2"]),
    }, tile),
    drawn("building-label", "buildings", "symbol", {
      "text-color": state("picked", c["on-brand"], c.ink),
      "text-halo-color": state("picked", c.brand, c.surface),
      "text-halo-width": 0.8,
    }, {
      "source-layer": "buildings",
      minzoom: 16,
      filter: [">", ["coalesce", ["get", "households"], 0], 0],
      layout: { "text-field": ["to-string", ["get", "households"]], "text-font": REGULAR, "text-size": 11 },
    }),
  ]; // prettier-ignore
}

function lines(c) {
  const redrawn = ["in", ["get", "fate"], ["literal", ["changed", "new"]]];
  return [
    drawn("base-line", "base", "line", { "line-color": c.brand, "line-width": 1.6, "line-dasharray": [3, 2] }),
    drawn("plan-line", "plan", "line", {
      "line-color": byMark(c.danger, c.ink, c.ink, c.ink),
      "line-opacity": isDark() ? 0.7 : 0.85,
      "line-width": ramp(12, 0.5, 14.5, 1.1, 17, 1.8),
    }, round),
    drawn("frame-line", "frames", "line", { "line-color": c.ink, "line-opacity": 0.75, "line-width": ramp(11, 0.8, 15, 2.2, 17, 3) }, round),
    drawn("scope-casing", "scope", "line", { "line-color": c.surface, "line-width": ramp(11, 3, 15, 6.5) }, round),
    drawn("scope-line", "scope", "line", { "line-color": c.ink, "line-width": ramp(11, 1.4, 15, 2.6) }, round),
    drawn("redrawn-line", "plan", "line", { "line-color": c.brand, "line-width": REDRAWN_WIDTH }, {
      ...round,
      filter: redrawn,
    }),
    drawn("over-line", "plan", "line", { "line-color": c.danger, "line-width": byMark(2.4, 0, 0, 0) }, round),
    drawn("chosen-casing", "chosen", "line", { "line-color": c.surface, "line-width": 6 }, round),
    drawn("chosen-line", "chosen", "line", { "line-color": c.brand, "line-width": 3 }, round),
  ]; // prettier-ignore
}

function hand(c) {
  const is = (role) => ["==", ["get", "role"], role];
  return [
    drawn("preview-fill", "preview", "fill", { "fill-color": c.brand, "fill-opacity": ["coalesce", ["get", "shade"], 0.12] }, {
      filter: ["==", ["geometry-type"], "Polygon"],
    }),
    drawn("preview-line", "preview", "line", { "line-color": c.brand, "line-width": 2.4 }, round),
    drawn("handle", "handles", "circle", {
      "circle-radius": ["case", is("locked"), 2.5, is("held"), 7, 5],
      "circle-color": ["case", is("held"), c.brand, is("locked"), c["ink-3"], c.surface],
      "circle-stroke-color": ["case", is("locked"), c.surface, c.brand],
      "circle-stroke-width": ["case", is("locked"), 1, 2],
    }),
    drawn("flash-ring", "flash", "circle", {
      "circle-radius": 18, "circle-color": c.danger, "circle-opacity": 0.15, "circle-stroke-color": c.danger, "circle-stroke-width": 3,
    }),
  ]; // prettier-ignore
}

function labels(c) {
  const over = ["match", ["get", "mark"], "over", c.danger, "under", c.warn, c.ink];
  return [
    ...streetNames(c),
    drawn("plan-label", "labels", "symbol", { "text-color": over }, {
      minzoom: 13,
      layout: {
        "text-field": [
          "format",
          ["get", "short"], { "text-font": ["literal", BOLD] },
          ["case", ["==", ["get", "n"], ""], "", ["concat", " ", ["get", "n"]]], { "text-font": ["literal", REGULAR] },
        ],
        "text-font": BOLD,
        "text-size": 12,
        "icon-image": ["match", ["get", "mark"], "over", "label-over", "label"],
        "icon-text-fit": "both",
        "icon-text-fit-padding": [2, 6, 2, 6],
        "symbol-sort-key": ["match", ["get", "mark"], "over", 0, "under", 1, 2],
      },
    }),
  ]; // prettier-ignore
}

/** The whole style for the current theme. `options`: basemap, scope (code). */
export function planStyle(c, options) {
  const empty = () => ({ type: "geojson", data: EMPTY });
  const keyed = () => ({ ...empty(), promoteId: "code" });
  const { hex, pulses, chosen, ...tiles } = sources(options.basemap);
  return {
    version: 8,
    transition: { duration: 0, delay: 0 },
    sources: {
      ...tiles,
      plan: { ...keyed(), tolerance: 0.2 }, frames: keyed(), labels: keyed(),
      scope: empty(), base: empty(), chosen, preview: empty(), handles: empty(), flash: empty(),
    },
    layers: [...ground(c, options), ...grids(c), ...streets(c), ...buildings(c), ...lines(c), ...labels(c), ...hand(c)],
  }; // prettier-ignore
}

/** A label's box as an image that stretches around its text. */
export function labelImage(fill, border) {
  const size = 32;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = fill;
  pen.strokeStyle = border;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.roundRect(2, 2, size - 4, size - 4, 8);
  pen.fill();
  pen.stroke();
  const image = pen.getImageData(0, 0, size, size);
  const options = { pixelRatio: 2, stretchX: [[12, 20]], stretchY: [[12, 20]], content: [4, 4, 28, 28] };
  return [image, options];
}
