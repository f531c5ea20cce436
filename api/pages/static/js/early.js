// Runs before the first paint, so that a dark screen does not flash white. A classic script on purpose.
(function () {
  "use strict";
  var root = document.documentElement,
    wall = /[?&]wall=1(&|$)/.test(location.search),
    theme = null;
  try {
    theme = localStorage.getItem("gridmap.theme");
  } catch (_) {
    /* storage may be refused */
  }
  if (!theme && window.matchMedia) theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  if (wall) {
    root.dataset.wall = "1";
    theme = "dark";
  }
  root.dataset.theme = theme === "dark" ? "dark" : "light";
})();
