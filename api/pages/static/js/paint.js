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

const KINDS = { micro: ["micro", "dedicated"] };
const LINES = { "grid-line": "micro", "dedicated-line": "micro", "comprehensive-line": "comprehensive" };

/** Paints heat on a MapLibre map; remembers what each feature was told, so that an update tells only the changes. */
class Painter {
  #told = new Map();
  #source = null;
  #classes = [];
  #tokens = {};
  #highlight = null;
  #isolated = null;
  #plain = 1;

  constructor(map) {
    this.map = map;
  }

  #place(id) {
    return this.#source === "hex" ? { source: "hex", id } : { source: this.#source, sourceLayer: this.#source, id };
  }

  #strengths() {
    if (!this.#source) return;
    const fill = opacityOf(this.#plain, this.#highlight, this.#isolated);
    this.map.setPaintProperty(FILLS[this.#source], "fill-opacity", fill);
    this.map.setPaintProperty(HATCHES[this.#source], "fill-opacity", hatchOpacity(this.#highlight, this.#isolated));
  }

  #colours() {
    const fill = FILLS[this.#source];
    this.map.setPaintProperty(fill, "fill-color", colour(this.#classes, this.#tokens));
    if (this.#source === "hex") this.map.setPaintProperty(fill, "fill-outline-color", this.#tokens.line);
  }

  #tell(now) {
    for (const [id, k] of now) if (this.#told.get(id) !== k) this.map.setFeatureState(this.#place(id), { k });
    for (const id of this.#told.keys()) if (!now.has(id)) this.map.removeFeatureState(this.#place(id));
    this.#told = now;
  }

  /** Shows the layers of a unit and hides those of the others. */
  #show(by, hatched) {
    const next = sourceOf(by);
    const visibility = (yes) => (yes ? "visible" : "none");
    for (const name of ["grids", "areas", "hex"]) {
      this.map.setLayoutProperty(FILLS[name], "visibility", visibility(name === next));
      // A pattern costs as much as everything else together: it is drawn only where something is hatched.
      this.map.setLayoutProperty(HATCHES[name], "visibility", visibility(name === next && hatched));
    }
    if (next !== "hex") {
      const filter = ["in", ["get", "kind"], ["literal", KINDS[by] ?? [by]]];
      this.map.setFilter(FILLS[next], filter);
      this.map.setFilter(HATCHES[next], filter);
    }
    for (const [id, unit] of Object.entries(LINES))
      this.map.setLayoutProperty(id, "visibility", visibility(by === unit));
    if (next !== this.#source && this.#source) this.#tell(new Map());
    this.#source = next;
  }

  paint(by, heat, scheme) {
    this.#show(
      by,
      scheme.classes.some((one) => one.hatch),
    );
    this.#tell(new Map(heat.items.map((item) => [item.id, scheme.of(item)])));
    this.#classes = scheme.classes;
    if (heat.geojson) this.map.getSource("hex").setData(heat.geojson);
    this.#colours();
    this.#strengths();
  }

  theme(tokens, basemap) {
    this.#tokens = tokens;
    this.#plain = basemap ? 0.75 : 1;
    if (this.#source) this.#colours();
  }

  highlight(k) {
    this.#highlight = k;
    this.#strengths();
  }

  isolate(k) {
    this.#isolated = k;
    this.#strengths();
  }

  isolated() {
    return this.#isolated;
  }

  layer() {
    return FILLS[this.#source];
  }
}

export const createPainter = (map) => new Painter(map);
