// The chart answers to the pointer and the keyboard: the nearest point says what it is, and a
// click, or Enter, chooses its N. On a touch screen the first tap shows and the second chooses.
const points = () => [...element.querySelectorAll(".rd-plot button")];
let shown = null;

const show = (point) => {
  const tip = element.querySelector(".rd-tip");
  shown?.classList.remove("on");
  shown = point;
  if (!tip) return;
  tip.hidden = !point;
  if (!point) return;
  point.classList.add("on");
  tip.textContent = point.ariaLabel;
  const plot = tip.parentElement;
  const left = Math.min(Math.max(point.offsetLeft - tip.offsetWidth / 2, 0),
    plot.clientWidth - tip.offsetWidth);
  const above = point.offsetTop - tip.offsetHeight - 14;
  tip.style.left = `${left}px`;
  tip.style.top = `${above < 0 ? point.offsetTop + 14 : above}px`;
};

const nearest = (event, reach = 48) => {
  let best = null;
  for (const point of points()) {
    const box = point.getBoundingClientRect();
    const away = Math.hypot(box.left + box.width / 2 - event.clientX,
      box.top + box.height / 2 - event.clientY);
    if (away < reach) [best, reach] = [point, away];
  }
  return best;
};

const choose = (point) => {
  if (point?.dataset.levels) trigger("select", { index: Number(point.dataset.levels), value: "N" });
};

const focus = (point) => {
  if (!point) return;
  points().forEach((other) => { other.tabIndex = other === point ? 0 : -1; });
  point.focus();
};

element.addEventListener("pointermove", (event) => {
  if (event.pointerType === "mouse" && event.target.closest(".rd-plot")) show(nearest(event));
});
element.addEventListener("pointerleave", () => show(null));
element.addEventListener("focusin", (event) => { if (event.target.closest(".rd-plot")) show(event.target); });
element.addEventListener("focusout", () => show(null));
element.addEventListener("click", (event) => {
  if (!event.target.closest(".rd-plot")) return;
  const point = event.detail ? nearest(event) : event.target.closest("button");
  const touched = event.pointerType === "touch";
  if (touched && point !== shown) show(point);
  else choose(point);
});
element.addEventListener("keydown", (event) => {
  const all = points();
  const here = all.indexOf(event.target);
  if (here < 0) return;
  const same = all.filter((point) => point.dataset.codec === event.target.dataset.codec);
  const codecs = [...new Set(all.map((point) => point.dataset.codec))];
  const turn = (by) => {
    const other = codecs[(codecs.indexOf(event.target.dataset.codec) + by + codecs.length) % codecs.length];
    const x = event.target.offsetLeft;
    return all.filter((point) => point.dataset.codec === other)
      .sort((a, b) => Math.abs(a.offsetLeft - x) - Math.abs(b.offsetLeft - x))[0];
  };
  const next = {
    ArrowLeft: () => same[same.indexOf(event.target) - 1],
    ArrowRight: () => same[same.indexOf(event.target) + 1],
    ArrowUp: () => turn(1), ArrowDown: () => turn(-1),
    Home: () => same[0], End: () => same.at(-1),
  }[event.key];
  if (!next) return;
  event.preventDefault();
  focus(next());
});
