// The map itself: camera, theme, layer groups, what is chosen and hovered. What it is filled with: paint.js.
import * as maplibre from "../vendor/maplibre-gl/maplibre-gl.mjs";
import { byId, calm, narrow } from "./dom.js";
import { buildStyle, LAYER_GROUPS } from "./mapstyle.js";
import { createPainter } from "./paint.js";
import { hatchImage, readTokens } from "./tokens.js";

// Workers start while the page still asks who is looking.
maplibre.prewarm();

const NOTHING = { type: "FeatureCollection", features: [] };

/** Room that the panels take, so that what is looked at lies in what they leave free. */
export function padding() {
  const box = (id) => {
    const node = byId(id);
    return node?.getClientRects().length ? node.getBoundingClientRect() : null;
  };
  const [left, right, strip, time] = ["left", "right", "indicators", "time"].map(box);
  const ground = byId("map").getBoundingClientRect();
  if (narrow.matches) {
    const top = (strip?.bottom ?? 70) - ground.top + 8;
    const low = Math.min(right?.top ?? ground.bottom, box("compact")?.top ?? ground.bottom);
    const bottom = Math.max(ground.bottom - low, 0) + 8;
    return { left: 12, right: 12, top, bottom: Math.min(bottom, ground.height - top - 80) };
  }
  // On a middling screen the right column lies below the time line instead.
  const beside = right && right.left > ground.left + ground.width / 2;
  const pad = (value) => Math.max(value + 18, 18);
  return {
    left: pad(left ? left.right - ground.left : 0),
    right: pad(beside ? ground.right - right.left : 0),
    top: pad(strip ? strip.bottom - ground.top : 0),
    bottom: pad(time ? ground.bottom - time.top : 0),
  };
}

/** Draws the bar of lengths beside the map. */
export function scaleBar(map) {
  const node = byId("scale");
  const { lat } = map.getCenter();
  const perPixel = (40075016.686 * Math.cos((lat * Math.PI) / 180)) / (512 * 2 ** map.getZoom());
  const room = perPixel * 100;
  const power = 10 ** Math.floor(Math.log10(room));
  const nice = [5, 2, 1].find((one) => one * power <= room) * power;
  node.textContent = nice >= 1000 ? `${nice / 1000} km` : `${nice} m`;
  node.style.width = `${nice / perPixel}px`;
}

/** An upright map without anything of the page in it. `options`: style, and view or bbox. */
export function create(options) {
  const { view, bbox, room } = options;
  const map = new maplibre.Map({
    container: options.container ?? byId("map"),
    style: options.style,
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    maxPitch: 0,
    renderWorldCopies: false,
    doubleClickZoom: false,
    minZoom: 5,
    maxZoom: 19,
    fadeDuration: calm.matches ? 0 : 120,
    ...(view
      ? { center: [view.lon, view.lat], zoom: view.zoom }
      : bbox
        ? { bounds: bbox, fitBoundsOptions: { padding: room ?? padding() } }
        : {}),
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation?.();
  return map;
}

function applyTheme(map, tokens, options) {
  for (const layer of buildStyle(tokens, options).layers) {
    if (!map.getLayer(layer.id) || /^(fill|hatch)-/.test(layer.id)) continue;
    for (const [name, value] of Object.entries(layer.paint ?? {})) map.setPaintProperty(layer.id, name, value);
  }
  if (map.hasImage("hatch")) map.updateImage("hatch", hatchImage(tokens));
}

/** Makes the map. `options`: view or bbox, basemap, wall; `onView({lat, lon, zoom})` hears where it came to rest. */
export function createMap(options, onView) {
  const tokens = readTokens();
  const map = create({ ...options, style: buildStyle(tokens, options) });
  const painter = createPainter(map);
  const ready = new Promise((resolve) => map.once("style.load", resolve)).then(() => {
    if (!map.hasImage("hatch")) map.addImage("hatch", hatchImage(tokens), { pixelRatio: 2 });
    painter.theme(tokens, options.basemap);
  });
  map.on("move", () => scaleBar(map));
  map.once("render", () => scaleBar(map));
  map.on("moveend", (event) => {
    if (event.quiet) return;
    const { lat, lng } = map.getCenter();
    onView({ lat, lon: lng, zoom: map.getZoom() });
  });
  const camera = (extra) => ({ padding: padding(), duration: calm.matches ? 0 : 450, ...extra });

  return {
    map,
    painter,
    ready,
    fit: (bbox, extra) => map.fitBounds(bbox, camera({ maxZoom: 16.2, ...extra })),
    centre: (point, zoom) => map.easeTo(camera({ center: point, ...(zoom ? { zoom } : {}) })),
    zoom: (step) => map.easeTo({ zoom: map.getZoom() + step, duration: calm.matches ? 0 : 200 }),
    jump: (view) => map.jumpTo({ center: [view.lon, view.lat], zoom: view.zoom }),
    pulses: (geojson) => map.getSource("pulses").setData(geojson),
    chosen: (geometry) =>
      map.getSource("chosen").setData(geometry ? { type: "Feature", properties: {}, geometry } : NOTHING),
    hover(source, id) {
      map.setFilter("hover-line", ["==", ["get", "code"], source === "grids" ? id : ""]);
      map.setFilter("hover-area-line", ["==", ["get", "code"], source === "areas" ? id : ""]);
      map.setFilter("hover-hex-line", ["==", ["get", "cell"], source === "hex" ? id : ""]);
    },
    layers(shown) {
      const visible = new Map();
      for (const [group, ids] of Object.entries(LAYER_GROUPS)) {
        for (const id of ids) visible.set(id, (visible.get(id) ?? true) && shown.includes(group));
      }
      for (const [id, yes] of visible)
        if (map.getLayer(id)) map.setLayoutProperty(id, "visibility", yes ? "visible" : "none");
    },
    theme() {
      const next = readTokens();
      applyTheme(map, next, options);
      painter.theme(next, options.basemap);
    },
    label: (text) => map.getCanvas().setAttribute("aria-label", text),
  };
}
