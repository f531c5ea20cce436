// The palette for what is painted outside the style sheet, read from its custom properties.
const NAMES = [
  "paper",
  "surface",
  "surface-2",
  "surface-3",
  "line",
  "line-2",
  "ink",
  "ink-2",
  "ink-3",
  "brand",
  "brand-2",
  "brand-weak",
  "on-brand",
  "danger",
  "danger-weak",
  "warn",
  "warn-fill",
  "ok",
  "ok-weak",
  "dispute",
  "seq0",
  "seq1",
  "seq2",
  "seq3",
  "seq4",
  "seq5",
  "seq6",
  "div1",
  "div2",
  "div3",
  "div4",
  "div5",
  "div6",
  "div7",
  "cold1",
  "cold2",
  "cold3",
  "none",
  "hot1",
  "hot2",
  "hot3",
  "hatch-ground",
  "hatch-line",
  "river",
  "river-edge",
  "road",
  "road-edge",
  "building",
];

export function readTokens() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

export const isDark = () => document.documentElement.dataset.theme === "dark";

/** Diagonal hatch of the theme as an image that tiles without a seam. */
export function hatchImage(tokens, size = 12) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = tokens["hatch-ground"];
  pen.fillRect(0, 0, size, size);
  pen.strokeStyle = tokens["hatch-line"];
  pen.lineWidth = 1.7;
  pen.beginPath();
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift - 2, size + 2);
    pen.lineTo(shift + size + 2, -2);
  }
  pen.stroke();
  return pen.getImageData(0, 0, size, size);
}
