// Puts classes on the map: feature state on the tiles, so that a new measure recolours without a new tile.
import { WITHHELD } from "./classes.js";
import { FILLS, HATCHES, sourceOf } from "./mapstyle.js";

const K = ["coalesce", ["feature-state", "k"], -9];

function colour(classes, tokens) {
  const pairs = classes.filter((one) => !one.hatch).flatMap((one) => [one.k, tokens[one.token]]);
  return pairs.length ? ["match", K, ...pairs, "rgba(0,0,0,0)"] : "rgba(0,0,0,0)";
}

const opacityOf = (dim, highlight, isolated) => {
  if (isolated != null) return ["case", ["==", K, isolated], 1, 0.04];
  if (highlight != null) return ["case", ["==", K, highlight], 1, 0.22];
  return dim;
};

function hatchOpacity(highlight, isolated) {
  const only = isolated ?? highlight;
  const strength = only == null || only === WITHHELD ? 1 : isolated != null ? 0.03 : 0.3;
  return ["case", ["==", K, WITHHELD], strength, 0];
}

/** Paints heat on a MapLibre map; remembers what each feature was told, so that an update tells only the changes. */
export function createPainter(map) {
  let told = new Map();
  let source = null;
  let classes = [];
  let tokens = {};
  let highlight = null;
  let isolated = null;
  let underBasemap = false;

  const place = (name, id) => (name === "hex" ? { source: name, id } : { source: name, sourceLayer: name, id });

  function strengths() {
    if (!source) return;
    map.setPaintProperty(FILLS[source], "fill-opacity", opacityOf(underBasemap ? 0.75 : 1, highlight, isolated));
    map.setPaintProperty(HATCHES[source], "fill-opacity", hatchOpacity(highlight, isolated));
  }

  function show(by) {
    const next = sourceOf(by);
    for (const name of ["grids", "areas", "hex"]) {
      const visibility = name === next ? "visible" : "none";
      map.setLayoutProperty(FILLS[name], "visibility", visibility);
      map.setLayoutProperty(HATCHES[name], "visibility", visibility);
    }
    if (next !== "hex") {
      const kinds = by === "micro" ? ["micro", "dedicated"] : [by];
      const filter = ["in", ["get", "kind"], ["literal", kinds]];
      map.setFilter(FILLS[next], filter);
      map.setFilter(HATCHES[next], filter);
    }
    for (const [id, unit] of [
      ["grid-line", "micro"],
      ["comprehensive-line", "comprehensive"],
    ]) {
      map.setLayoutProperty(id, "visibility", by === unit ? "visible" : "none");
    }
    if (next !== source && source) forget();
    source = next;
  }

  function forget() {
    for (const id of told.keys()) map.removeFeatureState(place(source, id));
    told = new Map();
  }

  function paint(by, heat, scheme) {
    show(by);
    const now = new Map();
    for (const item of heat.items) now.set(item.id, scheme.of(item));
    for (const [id, k] of now) if (told.get(id) !== k) map.setFeatureState(place(source, id), { k });
    for (const id of told.keys()) if (!now.has(id)) map.removeFeatureState(place(source, id));
    told = now;
    classes = scheme.classes;
    if (heat.geojson) map.getSource("hex").setData(heat.geojson);
    map.setPaintProperty(FILLS[source], "fill-color", colour(classes, tokens));
    map.setPaintProperty(FILLS[source], "fill-outline-color", source === "hex" ? tokens.line : undefined);
    strengths();
  }

  return {
    paint,
    show,
    theme(next, basemap) {
      tokens = next;
      underBasemap = Boolean(basemap);
      if (source) map.setPaintProperty(FILLS[source], "fill-color", colour(classes, tokens));
    },
    highlight(k) {
      highlight = k;
      strengths();
    },
    isolate(k) {
      isolated = k;
      strengths();
    },
    isolated: () => isolated,
    layer: () => FILLS[source],
  };
}
