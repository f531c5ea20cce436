// Conveniences of the sign-in page; it works without them.
const password = document.getElementById("password");
const reveal = document.getElementById("reveal");
const caps = document.querySelector("#caps span");

reveal.hidden = false;
reveal.addEventListener("click", () => {
  const shown = password.type === "text";
  password.type = shown ? "password" : "text";
  reveal.textContent = shown ? reveal.dataset.show : reveal.dataset.hide;
  reveal.setAttribute("aria-pressed", String(!shown));
  password.focus();
});
for (const name of ["keydown", "keyup", "mousedown"]) {
  addEventListener(name, (event) => {
    if (event.getModifierState) caps.hidden = !event.getModifierState("CapsLock");
  });
}
// What was asked for may carry a place on the map behind a '#'; it survives signing in.
const next = document.querySelector("input[name=next]");
if (location.hash && next && !next.value.includes("#")) {
  next.value += location.hash;
  const provider = document.getElementById("provider");
  if (provider) provider.href += encodeURIComponent(location.hash);
}
