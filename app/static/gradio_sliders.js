// Gradio's two sliders of N: releases by keyboard, and numbers that are none of N.
const SLIDERS = ":is(#inside-levels, #assumed-levels) input";
const RELEASES = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home",
  "End", "Enter"];

export function steadySliders() {
  // A release is reported for the pointer only.
  let pause;
  document.addEventListener("keyup", (event) => {
    if (!event.target.matches?.(SLIDERS) || !RELEASES.includes(event.key)) return;
    clearTimeout(pause);
    pause = setTimeout(
      () => event.target.dispatchEvent(new PointerEvent("pointerup", { bubbles: true })), 250,
    );
  });
  // What is out of range would be an error of the server's.
  let last;
  const number = (event) => event.target.matches?.(`${SLIDERS}[type=number]`) && event.target;
  document.addEventListener("focusin", (event) => { if (number(event)) last = event.target.value; });
  document.addEventListener("input", (event) => number(event) && event.target.setCustomValidity(""));
  const correct = (event) => {
    const field = number(event);
    if (!field || (event.key ?? "Enter") !== "Enter") return;
    const { min, max, value } = field;
    const taken = value === "" ? last : Math.min(max, Math.max(min, Math.round(value)));
    if (String(taken) === value) return;
    field.value = last = taken;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.setCustomValidity(`N is a whole number from ${min} to ${max} here; ${taken} is taken.`);
    field.reportValidity();
  };
  for (const kind of ["keydown", "blur", "pointerup"]) document.addEventListener(kind, correct, true);
}
