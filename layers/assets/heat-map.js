// Draws layers of heat on a Leaflet map: one at a time, each with its legend. Names are data, so they are only ever
// set as text. `shapes` are rings of whole numbers: a millionth of a degree, each after the one before.
(function () {
  "use strict";
  const FINE = 1e6;

  function ring(steps) {
    const places = [];
    let lon = 0;
    let lat = 0;
    for (let i = 0; i < steps.length; i += 2) {
      lon += steps[i];
      lat += steps[i + 1];
      places.push([lat / FINE, lon / FINE]);
    }
    return places;
  }

  function hatch(colours) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const pen = tile.getContext("2d");
    pen.fillStyle = colours["hatch-ground"];
    pen.fillRect(0, 0, 8, 8);
    pen.strokeStyle = colours["hatch-line"];
    pen.lineWidth = 1.2;
    for (const shift of [-8, 0, 8]) {
      pen.beginPath();
      pen.moveTo(shift - 1, 9);
      pen.lineTo(shift + 9, -1);
      pen.stroke();
    }
    return pen.createPattern(tile, "repeat");
  }

  function node(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function tip(name, line) {
    const box = node("div");
    box.append(node("b", "", name), node("div", "", line));
    return box;
  }

  function legendOf(layer, colours) {
    const box = node("section", "gm-legend");
    box.append(node("h2", "", layer.legend.title));
    const table = node("table");
    for (const one of layer.legend.entries) {
      const row = table.insertRow();
      const swatch = node("span", one.token ? "gm-swatch" : "gm-swatch gm-hatch");
      if (one.token) swatch.style.background = colours[one.token];
      row.insertCell().append(swatch);
      row.insertCell().textContent = one.label;
      row.insertCell().textContent = one.number.toLocaleString();
    }
    box.append(table);
    for (const line of layer.notes) box.append(node("p", "", line));
    return box;
  }

  // Polygons are made when a layer is first shown: a page may hold several times 7,000 of them.
  const Heat = L.FeatureGroup.extend({
    initialize(data, number) {
      L.FeatureGroup.prototype.initialize.call(this, []);
      this.data = data;
      this.shown = data.layers[number];
    },
    onAdd(map) {
      if (!this.getLayers().length) this.draw();
      L.FeatureGroup.prototype.onAdd.call(this, map);
      const corner = document.getElementById("gm-corner");
      corner.replaceChildren(legendOf(this.shown, this.data.colours));
    },
    draw() {
      const { colours } = this.data;
      const { names, shapes } = this.data.places[this.shown.places];
      const pattern = hatch(colours);
      const fill = new Map(this.shown.legend.entries.map((one) => [one.key, one.token ? colours[one.token] : pattern]));
      const plain = { color: colours.ink, weight: shapes.length > 2000 ? 0.4 : 0.8, opacity: 0.35, fillOpacity: 1 };
      const over = { color: colours.brand, weight: 2.5, opacity: 1 };
      shapes.forEach((parts, i) => {
        const drawn = L.polygon(parts.map((rings) => rings.map(ring)), { ...plain, fillColor: fill.get(this.shown.keys[i]), smoothFactor: 0.3 });
        drawn.bindTooltip(() => tip(names[i], this.shown.lines[i]), { sticky: true, className: "gm-tip" });
        drawn.on("mouseover", () => { drawn.setStyle(over); drawn.bringToFront(); });
        drawn.on("mouseout", () => drawn.setStyle(plain));
        this.addLayer(drawn);
      });
    },
  });

  window.gridmapHeat = (data, number) => new Heat(data, number);

  window.gridmapFrame = (map, data) => {
    map.attributionControl.setPrefix("Leaflet");
    L.control.scale({ imperial: false }).addTo(map);
    const head = node("header", "gm-head");
    head.append(node("h1", "", data.title), node("p", "", data.subtitle));
    const corner = node("div", "gm-corner");
    corner.id = "gm-corner";
    for (const box of [head, corner]) {
      L.DomEvent.disableClickPropagation(box);
      L.DomEvent.disableScrollPropagation(box);
      map.getContainer().append(box);
    }
    if (data.bounds) map.fitBounds(data.bounds, { padding: [24, 24] });
  };
})();
