// The map's style: sources of our own service, colours from the tokens, labels from the machine's fonts (no `glyphs`).
import { isDark } from "./tokens.js";

const FAMILIES = [
  "PingFang SC",
  "HarmonyOS Sans SC",
  "Microsoft YaHei UI",
  "Microsoft YaHei",
  "Noto Sans CJK SC",
  "Source Han Sans SC",
];
export const REGULAR = ["Map Regular", ...FAMILIES];
export const BOLD = ["Map Bold", ...FAMILIES];
export const EMPTY = { type: "FeatureCollection", features: [] };
const origin = () => location.origin;

/** Zoom by zoom: [zoom, value, …] as an exponential ramp. */
export const ramp = (...stops) => ["interpolate", ["exponential", 1.5], ["zoom"], ...stops];

export const FILLS = { grids: "fill-grids", areas: "fill-areas", hex: "fill-hex" };
export const HATCHES = { grids: "hatch-grids", areas: "hatch-areas", hex: "hatch-hex" };
/** Which source draws a unit. */
export const sourceOf = (by) => (by === "hex" ? "hex" : by === "village" || by === "town" ? "areas" : "grids");

function vector(layer, minzoom, maxzoom) {
  return { type: "vector", tiles: [`${origin()}/api/tiles/${layer}/{z}/{x}/{y}.mvt`], minzoom, maxzoom };
}

export function sources(basemap) {
  return {
    ...(basemap ? { basemap: { type: "raster", tiles: [basemap], tileSize: 256 } } : {}),
    grids: { ...vector("grids", 8, 15), promoteId: "code" },
    areas: { ...vector("areas", 0, 14), promoteId: "code" },
    streets: vector("streets", 10, 15),
    buildings: { ...vector("buildings", 14, 16), promoteId: "code" },
    hex: { type: "geojson", data: EMPTY, promoteId: "cell" },
    chosen: { type: "geojson", data: EMPTY },
    pulses: { type: "geojson", data: EMPTY },
  };
}

function fills(names) {
  const fill = (id, source, extra) => ({
    id,
    type: "fill",
    source,
    ...(source === "hex" ? {} : { "source-layer": source }),
    ...extra,
  });
  const layers = [];
  for (const source of names) {
    layers.push(
      fill(FILLS[source], source, {
        layout: { visibility: "none" },
        paint: { "fill-color": "rgba(0,0,0,0)", "fill-antialias": true },
      }),
    );
    layers.push(
      fill(HATCHES[source], source, {
        layout: { visibility: "none" },
        paint: { "fill-pattern": "hatch", "fill-opacity": 0 },
      }),
    );
  }
  return layers;
}

const BUTT = { "line-cap": "butt" };

export function streets(c) {
  const line = (id, filter, paint, layout = {}) => ({
    id,
    type: "line",
    source: "streets",
    "source-layer": "streets",
    filter,
    layout: { "line-cap": "round", "line-join": "round", ...layout },
    paint,
  });
  const river = ["==", ["get", "class"], "river"];
  const wide = ["in", ["get", "class"], ["literal", ["motorway", "main"]]];
  const small = ["in", ["get", "class"], ["literal", ["street", "lane", "path"]]];
  return [
    line("river-edge", river, { "line-color": c["river-edge"], "line-width": ramp(10, 3, 13, 12, 16, 46) }, BUTT),
    line("river", river, { "line-color": c.river, "line-width": ramp(10, 2, 13, 10, 16, 42) }, BUTT),
    {
      ...line("street-small", small, {
        "line-color": c["road-edge"],
        "line-opacity": 0.55,
        "line-width": ramp(13, 0.5, 16, 3),
      }),
      minzoom: 13,
    },
    {
      ...line("street-wide", wide, {
        "line-color": c["road-edge"],
        "line-opacity": 0.75,
        "line-width": ramp(11, 0.6, 14, 1.8, 16, 6),
      }),
      minzoom: 11,
    },
    line("railway", ["==", ["get", "class"], "railway"], {
      "line-color": c["ink-3"],
      "line-width": 1.2,
      "line-dasharray": [4, 2],
    }),
  ];
}

function buildings(c) {
  return [
    {
      id: "building",
      type: "fill",
      source: "buildings",
      "source-layer": "buildings",
      minzoom: 15,
      paint: { "fill-color": c.building, "fill-outline-color": c["line-2"], "fill-opacity": 0.8 },
    },
    {
      id: "building-label",
      type: "symbol",
      source: "buildings",
      "source-layer": "buildings",
      minzoom: 16,
      filter: [">", ["coalesce", ["get", "households"], 0], 0],
      layout: { "text-field": ["to-string", ["get", "households"]], "text-font": REGULAR, "text-size": 11 },
      paint: { "text-color": c["ink-2"], "text-halo-color": c.surface, "text-halo-width": 1 },
    },
  ];
}

function borders(c) {
  const line = (id, source, kind, paint) => ({
    id,
    type: "line",
    source,
    "source-layer": source,
    filter: ["==", ["get", "kind"], kind],
    layout: { "line-join": "round" },
    paint,
  });
  const dark = isDark();
  return [
    line("grid-line", "grids", "micro", {
      "line-color": c.ink,
      "line-opacity": dark ? 0.16 : 0.22,
      "line-width": ramp(10, 0.25, 12.5, 0.7, 16, 1.1),
    }),
    line("comprehensive-line", "grids", "comprehensive", {
      "line-color": c.ink,
      "line-opacity": 0.3,
      "line-width": ramp(11, 0.2, 13, 0.8, 16, 1.6),
    }),
    line("dedicated-line", "grids", "dedicated", {
      "line-color": c.ink,
      "line-opacity": 0.5,
      "line-width": 1,
      "line-dasharray": [3, 2],
    }),
    line("village-casing", "areas", "village", {
      "line-color": c.surface,
      "line-opacity": dark ? 0.5 : 0.9,
      "line-width": ramp(10, 0.8, 13, 2.6, 16, 4),
    }),
    line("village-line", "areas", "village", {
      "line-color": dark ? c["ink-3"] : c.ink,
      "line-opacity": dark ? 0.6 : 0.75,
      "line-width": ramp(10, 0.4, 13, 1.1, 16, 1.8),
    }),
    line("town-line", "areas", "town", { "line-color": c.ink, "line-width": ramp(8, 0.8, 12, 2.2, 16, 3) }),
    line("county-line", "areas", "county", { "line-color": c.ink, "line-width": ramp(8, 1.2, 12, 2.4, 16, 3.2) }),
  ];
}

function chosen(c) {
  const line = (id, source, paint) => ({ id, type: "line", source, layout: { "line-join": "round" }, paint });
  return [
    {
      ...line("hover-line", "grids", { "line-color": c.ink, "line-width": 2 }),
      "source-layer": "grids",
      filter: ["==", ["get", "code"], ""],
    },
    {
      ...line("hover-area-line", "areas", { "line-color": c.ink, "line-width": 2.4 }),
      "source-layer": "areas",
      filter: ["==", ["get", "code"], ""],
    },
    { ...line("hover-hex-line", "hex", { "line-color": c.ink, "line-width": 2 }), filter: ["==", ["get", "cell"], ""] },
    line("chosen-casing", "chosen", { "line-color": c.surface, "line-width": ramp(11, 3.4, 13.5, 7) }),
    line("chosen-line", "chosen", { "line-color": c.brand, "line-width": ramp(11, 1.8, 13.5, 3.4) }),
  ];
}

/** The smaller a street, the nearer one must be to read its name. */
const STREET_NAMES = [
  [["motorway", "main"], 13.5],
  [["street"], 15.2],
  [["lane", "path"], 16.4],
];

export function streetNames(c) {
  return [
    {
      id: "river-name",
      type: "symbol",
      source: "streets",
      "source-layer": "streets",
      minzoom: 12,
      filter: ["==", ["get", "class"], "river"],
      layout: {
        "symbol-placement": "line",
        "text-field": ["get", "name"],
        "text-font": REGULAR,
        "text-size": 12,
        "text-letter-spacing": 0.3,
        "symbol-spacing": 700,
      },
      paint: { "text-color": c["ink-2"], "text-halo-color": c.river, "text-halo-width": 1.4 },
    },
    ...STREET_NAMES.map(([classes, minzoom]) => ({
      id: `street-name-${classes[0]}`,
      type: "symbol",
      source: "streets",
      "source-layer": "streets",
      minzoom,
      filter: ["in", ["get", "class"], ["literal", classes]],
      layout: {
        "symbol-placement": "line",
        "text-field": ["get", "name"],
        "text-font": REGULAR,
        "text-size": 11,
        "symbol-spacing": 500,
        "text-padding": 8,
      },
      paint: { "text-color": c["ink-2"], "text-halo-color": c.surface, "text-halo-width": 1.2 },
    })),
  ];
}

export function labels(c, wall) {
  const name = (id, kind, layout, paint, zooms) => ({
    id,
    type: "symbol",
    source: "areas",
    "source-layer": "labels",
    filter: ["==", ["get", "kind"], kind],
    ...zooms,
    layout: { "text-field": ["get", "name"], "text-padding": 3, "text-max-width": 12, ...layout },
    paint: {
      "text-color": c.ink,
      "text-halo-color": c.surface,
      "text-halo-width": 1.6,
      "text-halo-blur": 0.4,
      ...paint,
    },
  });
  const scale = wall ? 1.4 : 1;
  const villages = name(
    "village-name",
    "village",
    { "text-font": REGULAR, "text-size": 12.5 * scale },
    { "text-color": c.ink },
    { minzoom: 11.4, maxzoom: 17 },
  );
  return [
    ...streetNames(c),
    ...(wall ? [] : [villages]),
    name(
      "town-name",
      "town",
      { "text-font": BOLD, "text-size": 16 * scale, "text-letter-spacing": 0.12, "text-allow-overlap": wall },
      { "text-halo-width": 2.2 },
      { maxzoom: 14.5 },
    ),
  ];
}

/** The whole style for the current theme. */
export function buildStyle(c, { basemap, wall }) {
  return {
    version: 8,
    transition: { duration: 0, delay: 0 },
    sources: sources(basemap),
    layers: [
      { id: "ground", type: "background", paint: { "background-color": c.paper } },
      ...(basemap
        ? [
            {
              id: "basemap",
              type: "raster",
              source: "basemap",
              paint: { "raster-saturation": -0.6, "raster-opacity": 0.7 },
            },
          ]
        : []),
      {
        id: "land",
        type: "fill",
        source: "areas",
        "source-layer": "areas",
        filter: ["==", ["get", "kind"], "county"],
        paint: { "fill-color": c.surface, "fill-opacity": basemap ? 0.4 : 1 },
      },
      {
        id: "town-hit",
        type: "fill",
        source: "areas",
        "source-layer": "areas",
        filter: ["in", ["get", "kind"], ["literal", ["town", "village"]]],
        paint: { "fill-color": c.surface, "fill-opacity": 0 },
      },
      ...fills(["grids", "areas"]),
      ...streets(c),
      ...fills(["hex"]),
      ...buildings(c),
      ...borders(c),
      ...chosen(c),
      {
        id: "pulse",
        type: "circle",
        source: "pulses",
        paint: { "circle-radius": ["get", "r"], "circle-color": c.ink, "circle-opacity": ["get", "o"] },
      },
      ...labels(c, wall),
    ],
  };
}

const NAMES_OF_STREETS = ["river-name", ...STREET_NAMES.map(([classes]) => `street-name-${classes[0]}`)];

export const LAYER_GROUPS = {
  streets: ["river-edge", "river", "street-small", "street-wide", "railway", ...NAMES_OF_STREETS],
  buildings: ["building", "building-label"],
  labels: ["village-name", "town-name", ...NAMES_OF_STREETS],
};
