// A file pasted or dropped anywhere on the page goes to the tab that it is for.
const take = (file, tries = 20) => {
  const opens = file.name.toLowerCase().endsWith(".qann");
  document.getElementById(opens ? "tab-open-button" : "tab-compare-button")?.click();
  const input = document.querySelector(`${opens ? "#qann-input" : "#upload"} input[type=file]`);
  if (!input) {
    if (tries > 0) setTimeout(() => take(file, tries - 1), 50);
    return;
  }
  const files = new DataTransfer();
  files.items.add(file);
  input.files = files.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
};

const MAX_BYTES = 30e6; // as app/page.py has it
const LATE_KINDS = /\.(heic|heif|avif|jxl)$/i; // pictures that not every browser knows as such

// Photos are on their way from here on: ``began`` hears of each, ``refused`` why one is not.
export function acceptFiles(began, refused) {
  const check = (event, file) => {
    if (!file?.type.startsWith("image/") && !LATE_KINDS.test(file?.name)) return; // Gradio says so
    if (file.size <= MAX_BYTES) return began();
    event.preventDefault();
    event.stopImmediatePropagation();
    refused(`This file has ${(file.size / 1e6).toFixed(0)} MB; the page takes up to 30 MB.`);
  };
  document.addEventListener("change", (event) => {
    if (!event.target.matches("#upload input[type=file]")) return;
    check(event, event.target.files[0]);
  }, true);
  document.addEventListener("drop", (event) => {
    if (event.target.closest?.("#upload")) check(event, event.dataTransfer?.files[0]);
  }, true);
  document.addEventListener("paste", (event) => {
    const image = [...(event.clipboardData?.files ?? [])].find((f) => f.type.startsWith("image/"));
    if (!image) return;
    event.preventDefault();
    take(image);
  });
  // Beside the upload areas, which take a file themselves, a browser would leave the page for it.
  // A picture of the page itself is no file to take.
  let own = false;
  document.addEventListener("dragstart", () => { own = true; });
  document.addEventListener("dragend", () => { own = false; });
  document.addEventListener("dragover", (event) => {
    if (!own && event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    const file = event.dataTransfer?.files[0];
    if (own || !file || event.defaultPrevented) return;
    event.preventDefault();
    take(file);
  });
}
