// Starts the page's own parts as soon as Gradio has put their HTML there.
import { Compare } from "./compare.js";
import { acceptFiles } from "./files.js";
import { steadySliders } from "./gradio_sliders.js";
import { equip } from "./viewer.js";
import { patient } from "./waiting.js";

window.qann = {};

patient(
  () => window.qann.compare?.busy(),
  () => window.qannListen?.(),
);
acceptFiles(() => window.qann.compare?.brought(), (text) => window.qann.compare?.refuse(text));

steadySliders();

const look = () => {
  const root = document.querySelector(".compare");
  if (root && window.qann.compare?.root !== root) {
    window.qann.compare = new Compare(root);
    window.qann.go = (where) => window.qann.compare.go(where);
    window.qannAnswer = (facts) => window.qann.compare.answered(facts);
  }
  equip();
  // Gradio's name of an upload area is not what stands in it.
  document.querySelectorAll(".upload-container").forEach((area) => area.removeAttribute("aria-label"));
};
new MutationObserver(look).observe(document.documentElement, { childList: true, subtree: true });
look();
