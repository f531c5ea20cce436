// The phone: the right column as a sheet of three heights, topic and legend behind a button.
import { byId, draw, h, icon, narrow } from "./dom.js";
import { t } from "./i18n.js";

const HEIGHTS = ["peek", "half", "full"];
const sheet = byId("right");

export const height = () => sheet.dataset.height ?? "half";

export function setHeight(name) {
  sheet.dataset.height = name;
  document.body.dataset.sheet = name;
}

function grip(settled) {
  let start = null;
  const node = h(
    "button",
    { type: "button", class: "grip only-narrow", "data-key": "grip", "aria-label": t("sheet.drag") },
    h("i"),
  );
  const step = (by) => {
    setHeight(HEIGHTS[Math.min(Math.max(HEIGHTS.indexOf(height()) + by, 0), 2)]);
    settled();
  };
  node.addEventListener("pointerdown", (event) => {
    start = { y: event.clientY, high: sheet.offsetHeight };
    node.setPointerCapture(event.pointerId);
    sheet.classList.add("dragging");
  });
  node.addEventListener("pointermove", (event) => {
    if (start) sheet.style.setProperty("--drag", `${start.high + start.y - event.clientY}px`);
  });
  node.addEventListener("pointerup", (event) => {
    if (!start) return;
    const moved = start.y - event.clientY;
    const now = (start.high + moved) / innerHeight;
    start = null;
    sheet.classList.remove("dragging");
    sheet.style.removeProperty("--drag");
    if (Math.abs(moved) < 6) step(height() === "full" ? -1 : 1);
    else {
      setHeight(now > 0.68 ? "full" : now > 0.27 ? "half" : "peek");
      settled();
    }
  });
  node.addEventListener("keydown", (event) => {
    const by = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (by) {
      event.preventDefault();
      step(by);
    }
  });
  return node;
}

/** Shows or hides the drawer with topic and legend. */
export function drawer(open) {
  document.body.classList.toggle("drawer", open);
  if (open) byId("topic").querySelector("button")?.focus({ preventScroll: true });
}

/** Puts grip and buttons in place; `settled()` runs when the sheet has a new height. */
export function createSheet(settled) {
  sheet.prepend(grip(settled));
  setHeight("half");
  const buttons = h("div", { class: "float only-narrow" });
  byId("map-tools").after(buttons);
  narrow.addEventListener("change", settled);
  return {
    label() {
      draw(
        buttons,
        h(
          "button",
          {
            type: "button",
            class: "card round",
            "aria-label": t("filter"),
            "data-key": "filter",
            onclick: () => drawer(true),
          },
          icon("filter"),
        ),
        h(
          "button",
          {
            type: "button",
            class: "card round",
            "aria-label": t("layers.button"),
            "data-key": "layers",
            onclick: () => {
              drawer(true);
              byId("legend").scrollIntoView();
            },
          },
          icon("layers"),
        ),
      );
    },
  };
}
