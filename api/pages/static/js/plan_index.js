// Cells over many things with a box each, so that what may lie at a place is found without looking at all of them.

/**
 * Of `items` those whose box (`boxOf`: west, south, east, north) may meet a box: near(box) gives them once each, in
 * their order.
 */
export function createCells(items, boxOf, perCell = 4) {
  const boxes = items.map(boxOf);
  const whole = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [west, south, east, north] of boxes) {
    if (west < whole[0]) whole[0] = west;
    if (south < whole[1]) whole[1] = south;
    if (east > whole[2]) whole[2] = east;
    if (north > whole[3]) whole[3] = north;
  }
  const side = Math.max(1, Math.min(256, Math.ceil(Math.sqrt(items.length / perCell))));
  const wide = (whole[2] - whole[0]) / side || 1;
  const high = (whole[3] - whole[1]) / side || 1;
  const at = (value, from, size) => Math.min(side - 1, Math.max(0, Math.floor((value - from) / size)));
  const range = (box) => [
    at(box[0], whole[0], wide), at(box[1], whole[1], high), at(box[2], whole[0], wide), at(box[3], whole[1], high),
  ]; // prettier-ignore
  const seen = new Uint32Array(items.length); // in which turn an item was found: none is given twice
  let turn = 0;
  const cells = Array.from({ length: side * side }, () => []);
  boxes.forEach((box, i) => {
    const [x0, y0, x1, y1] = range(box);
    for (let y = y0; y <= y1; y += 1) for (let x = x0; x <= x1; x += 1) cells[y * side + x].push(i);
  });

  return {
    near(box) {
      if (!items.length || box[0] > whole[2] || box[2] < whole[0] || box[1] > whole[3] || box[3] < whole[1]) return [];
      const [x0, y0, x1, y1] = range(box);
      const found = [];
      turn += 1;
      for (let y = y0; y <= y1; y += 1) {
        for (let x = x0; x <= x1; x += 1) {
          for (const i of cells[y * side + x]) {
            const its = boxes[i];
            if (seen[i] === turn || its[0] > box[2] || its[2] < box[0] || its[1] > box[3] || its[3] < box[1]) continue;
            seen[i] = turn;
            found.push(i);
          }
        }
      }
      if (found.length > 1) found.sort((a, b) => a - b);
      return found.map((i) => items[i]);
    },
  };
}

/** The box of a place. */
export const boxAt = ([x, y]) => [x, y, x, y];
