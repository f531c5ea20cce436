// Before and after: the base edition left of a line, the plan right of it; dragged, or moved by ← and →.
import { byId, h, icon } from "./dom.js";
import { t } from "./i18n.js";
import { createPlanMap } from "./plan_map.js";
import { REDRAWN_WIDTH } from "./plan_style.js";

/** Opens the comparison over a desk's map. `context`: view, opened, base (code → feature), kind, scope, outline, marks, words. */
export function openSwipe({ view, options, opened, base, kind, outline, marks, words, changed, close }) {
  const ground = byId("map").parentElement;
  const cover = h("div", { class: "before", id: "map-before", "aria-hidden": "true" });
  const bar = h(
    "div",
    { class: "swipe", role: "slider", tabindex: 0, "aria-label": t("plan.swipe"), "aria-valuemin": 0, "aria-valuemax": 100 },
    h("span", { class: "grip-round" }, icon("swipe")),
  );
  const flags = h("div", { class: "swipe-flags" }, h("span", { class: "card" }, h("b", { class: "then" }, t("plan.then")), ` ${words.before}`),
    h("span", { class: "card" }, h("b", { class: "now" }, t("plan.now")), ` ${words.after}`)); // prettier-ignore
  const legend = h("div", { class: "swipe-legend card" }, h("span", { class: "stroke then" }), t("plan.legend.then"), h("span", { class: "stroke now" }), t("plan.legend.now"));
  byId("map").after(cover, flags, legend, bar);
  const under = createPlanMap({ ...options, container: cover, quiet: true });
  let [share, shut] = [0.5, false];

  function place() {
    cover.style.clipPath = `inset(0 ${100 - share * 100}% 0 0)`;
    bar.style.left = flags.style.left = `${share * 100}%`;
    bar.setAttribute("aria-valuenow", String(Math.round(share * 100)));
  }
  const set = (value) => {
    share = Math.min(0.98, Math.max(0.02, value));
    place();
  };
  const follow = () => under.map.jumpTo({ center: view.map.getCenter(), zoom: view.map.getZoom() });
  const drag = (event) => {
    const box = ground.getBoundingClientRect();
    set((event.clientX - box.left) / box.width);
  };
  bar.addEventListener("pointerdown", (event) => {
    bar.setPointerCapture(event.pointerId);
    bar.addEventListener("pointermove", drag);
  });
  bar.addEventListener("pointerup", () => bar.removeEventListener("pointermove", drag));
  bar.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -0.05, ArrowRight: 0.05 }[event.key];
    if (!by) return;
    event.preventDefault();
    set(share + by);
  });
  function paint() {
    for (const map of [under.map, view.map]) map.setPaintProperty("redrawn-line", "line-width", 3);
    under.map.setPaintProperty("redrawn-line", "line-color", getComputedStyle(document.documentElement).getPropertyValue("--dispute").trim());
  } // prettier-ignore
  view.map.on("move", follow);
  const ready = under.ready.then(() => {
    if (shut) return;
    follow();
    under.scope(outline);
    under.show(base, kind);
    under.count(marks);
    view.map.setLayoutProperty("base-line", "visibility", "none");
    under.map.setFilter("redrawn-line", ["in", ["get", "code"], ["literal", changed]]);
    paint();
    document.body.dataset.swipe = "ready";
  }); // prettier-ignore
  place();

  return {
    ready,
    opened,
    /** Colours and numbers of the base, when they come or change. */
    count: (next) => ready.then(() => shut || under.count(next)),
    shift: (by) => set(share + by),
    theme() {
      under.theme();
      paint();
    },
    close() {
      shut = true;
      view.map.off("move", follow);
      view.map.setPaintProperty("redrawn-line", "line-width", REDRAWN_WIDTH);
      view.map.setLayoutProperty("base-line", "visibility", "visible");
      for (const node of [cover, bar, flags, legend]) node.remove();
      under.map.remove();
      delete document.body.dataset.swipe;
      close?.();
    },
  };
}
