// A part of the article: made when it comes near the window, and again when N or the photo has
// changed meanwhile; until then it is pale. Its pictures' buttons and points become selections.
let near = false, asked = null;

const keyIn = (root) => root?.querySelector("[data-key]")?.dataset.key;
const look = () => {
  const wanted = keyIn(document.querySelector("#inside-now"));
  const have = keyIn(element);
  element.classList.toggle("stale", Boolean(have) && have !== wanted);
  if (!near) asked = null;
  else if (wanted && wanted !== have && wanted !== asked) {
    asked = wanted;
    trigger("input");
  }
};
new IntersectionObserver((entries) => { near = entries.at(-1).isIntersecting; look(); },
  { rootMargin: "300px 0px" }).observe(element);
new MutationObserver(look).observe(document.querySelector("#inside"),
  { childList: true, subtree: true, attributes: true, attributeFilter: ["data-key"] });

element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-index]");
  if (button) trigger("select", { index: Number(button.dataset.index), value: button.title });
  const point = event.target.closest(".point");
  if (!point) return;
  const box = point.getBoundingClientRect();
  const at = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  trigger("select", { index: at, value: "point" });
});

// The ring on a picture by keyboard: a step is one position, 16 pixels of the photo.
element.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const point = event.target.closest(".point");
  if (!by || !point) return;
  event.preventDefault();
  const { across, down, width, height } = point.dataset;
  const at = [Number(across) + by[0] * 16 / width, Number(down) + by[1] * 16 / height];
  trigger("select", { index: at.map((share) => Math.min(1, Math.max(0, share))), value: "point" });
});
