// Drawing by hand: lines, polygons and the lasso by Terra Draw, whose two files lie beside the page as plain scripts.
import { readTokens } from "./tokens.js";

const library = () => ({ ...globalThis.terraDraw, ...globalThis.terraDrawMaplibreGlAdapter });
const POINTER = 14;

function modes(tokens, snapping) {
  const { TerraDrawLineStringMode, TerraDrawPolygonMode, TerraDrawFreehandMode } = library();
  const dots = (name) => ({
    [`${name}Color`]: tokens.surface, [`${name}Width`]: 6, [`${name}OutlineColor`]: tokens.brand, [`${name}OutlineWidth`]: 3,
  }); // prettier-ignore
  const points = { ...dots("coordinatePoint"), ...dots("closingPoint"), ...dots("snappingPoint") };
  const filled = {
    fillColor: tokens.brand, fillOpacity: 0.12, outlineColor: tokens.brand, outlineWidth: 2.5, ...points,
  }; // prettier-ignore
  return [
    new TerraDrawLineStringMode({
      snapping, keyEvents: null, showCoordinatePoints: true, pointerDistance: POINTER,
      styles: { lineStringColor: tokens.brand, lineStringWidth: 3, lineStringDash: [8, 5], ...points },
    }),
    new TerraDrawPolygonMode({
      snapping, keyEvents: null, showCoordinatePoints: true, pointerDistance: POINTER, styles: filled,
    }),
    // A lasso may be as small as one building: places near its beginning belong to it.
    new TerraDrawFreehandMode({ keyEvents: null, drawInteraction: "click-drag", minDistance: 4, preventPointsNearClose: false, styles: filled }),
  ]; // prettier-ignore
}

/** Draws on a map that is ready. `snap` as of plan_snap.js. */
export function createSketch(map, snap) {
  const { TerraDraw, TerraDrawMapLibreGLAdapter } = library();
  // As the pointer has it: a key may have been let go of in another window.
  const held = { shift: false };
  for (const type of ["pointermove", "pointerdown", "pointerup"])
    map.getCanvasContainer().addEventListener(type, (event) => (held.shift = event.shiftKey), { capture: true });
  const snapping = {
    toCustom(event) {
      const found = snap.place({ x: event.containerX, y: event.containerY }, { onStreets: held.shift });
      return found ? snap.remember(found) : undefined;
    },
  };
  const draw = new TerraDraw({
    adapter: new TerraDrawMapLibreGLAdapter({ map, coordinatePrecision: 9 }),
    modes: modes(readTokens(), snapping),
  });
  draw.start();
  draw.setMode("static");
  let hears = null;

  const of = (type, mode) =>
    draw.getSnapshot().find((one) => one.geometry.type === type && one.properties.mode === mode) ?? null;
  const line = () => of("LineString", "linestring")?.geometry.coordinates ?? [];
  const ring = (mode) => of("Polygon", mode)?.geometry.coordinates[0] ?? [];
  const drawn = () => hears && { linestring: line, polygon: () => ring("polygon"), freehand: () => ring("freehand") }[hears.mode]();
  const tell = (over) => hears?.changed?.(drawn().map(snap.exact), over);
  // A move of the pointer changes several of the library's features: it is told once, with the next frame.
  let frame = 0;
  const forget = () => {
    cancelAnimationFrame(frame);
    frame = 0;
  };
  const flush = () => {
    if (!frame) return;
    forget();
    tell(false);
  };
  draw.on("change", () => {
    frame ||= requestAnimationFrame(flush);
  });
  draw.on("finish", () => {
    forget();
    tell(true);
  });

  return {
    /** Tells at once what would be told with the next frame: before it is relied on. */
    flush,
    /** Draws in a mode: "linestring", "polygon" or "freehand"; `changed(places, finished)` hears of every stroke. */
    begin(mode, changed) {
      draw.clear();
      forget();
      hears = { mode, changed };
      // Shift asks for streets here, and not for a frame to be zoomed to.
      map.boxZoom.disable();
      draw.setMode(mode);
    },
    /** Once more from the beginning, in the same mode. */
    again() {
      const now = hears;
      hears = null;
      draw.clear();
      forget();
      hears = now;
      if (now) draw.setMode(now.mode);
    },
    end() {
      hears = null;
      map.boxZoom.enable();
      draw.clear();
      forget();
      draw.setMode("static");
    },
  };
}
