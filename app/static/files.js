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

export function acceptFiles() {
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
