// The toy: sixteen neighbouring pixels through a Haar wavelet, rounded at the tab's N, and back.
// It follows N while the slider moves, and asks the server for nothing.
const HALF = Math.SQRT1_2;

const forward = (row) => {
  let smooth = row.map((value) => value - 127.5), details = [];
  while (smooth.length > 1) {
    const pairs = smooth.filter((_, i) => i % 2 === 0).map((a, i) => [a, smooth[2 * i + 1]]);
    details = [...pairs.map(([a, b]) => (a - b) * HALF), ...details];
    smooth = pairs.map(([a, b]) => (a + b) * HALF);
  }
  return [...smooth, ...details];
};

const inverse = (latents) => {
  let smooth = latents.slice(0, 1);
  while (smooth.length < latents.length) {
    const details = latents.slice(smooth.length, 2 * smooth.length);
    smooth = smooth.flatMap((s, i) => [(s + details[i]) * HALF, (s - details[i]) * HALF]);
  }
  return smooth.map((value) => Math.min(255, Math.max(0, Math.round(value + 127.5))));
};

// Elias's gamma code of 0, -1, 1, -2 ... as 1, 2, 3, 4 ...
const bits = (q) => 2 * Math.floor(Math.log2(q > 0 ? 2 * q + 1 : 1 - 2 * q)) + 1;
const signed = (value) => String(value).replace("-", "−");

const cells = (name, values, look) => {
  element.querySelectorAll(`[data-row=${name}] td`).forEach((cell, i) => {
    cell.textContent = signed(Math.round(values[i]));
    look(cell, values[i]);
  });
};

const grey = (cell, value) => {
  cell.style.background = `rgb(${value} ${value} ${value})`;
  cell.style.color = value > 118 ? "#000" : "#fff";
};

let levels = null, turn = 0;
const draw = () => {
  const toy = element.querySelector(".toy");
  if (!toy) return;
  const rows = JSON.parse(toy.dataset.pixels), row = rows[turn % rows.length];
  const n = levels ?? Number(toy.dataset.levels);
  const step = 255 * Math.sqrt(row.length) / (n - 1);
  const latents = forward(row);
  const integers = latents.map((value, i) => {
    const offset = i === 0 ? 0.5 : Number(toy.dataset.offset);
    return Math.sign(value) * Math.floor(Math.abs(value) / step + offset) || 0;
  });
  const back = inverse(integers.map((q) => q * step));
  cells("pixels", row, grey);
  cells("latents", latents, () => {});
  cells("integers", integers, (cell, q) => cell.classList.toggle("zero", q === 0));
  cells("back", back, grey);
  const say = (name, text) => { element.querySelector(`[data-say=${name}]`).textContent = text; };
  const zeros = integers.filter((q) => q === 0).length;
  const error = Math.sqrt(row.reduce((sum, p, i) => sum + (p - back[i]) ** 2, 0) / row.length);
  say("step", `${step.toFixed(1)} grey levels`);
  say("zeros", `${zeros} of ${row.length}`);
  say("bytes", `${Math.ceil(integers.reduce((sum, q) => sum + bits(q), 0) / 8)} B, raw ${row.length} B`);
  say("error", `${error.toFixed(1)} grey levels`);
  toy.dataset.shown = n;
};

const follow = (event) => {
  if (!element.isConnected) return document.removeEventListener("input", follow);
  if (!event.target.closest?.("#inside-levels") || !(Number(event.target.value) >= 2)) return;
  levels = Number(event.target.value);
  draw();
};
document.addEventListener("input", follow);
element.addEventListener("click", (event) => {
  if (!event.target.closest("[data-another]")) return;
  turn += 1;
  draw();
});
watch("value", () => { levels = null; draw(); });
draw();
