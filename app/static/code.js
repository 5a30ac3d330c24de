// The command and the Python lines for exactly what is shown.
export function codeFor(root, facts) {
  const box = root.querySelector("#code");
  if (!box) return;
  const file = facts.photo === "own" ? "photo.jpg" : `${facts.photo}.jpg`;
  const named = facts.model === "default" ? "" : ` --model ${facts.model}`;
  const coder = facts.coder === "brotli" ? "" : ` --coder ${facts.coder}`;
  const effort = facts.effort ? ` --effort ${facts.effort}` : "";
  box.querySelector(".command").textContent
    = `qann compress ${file} photo.qann --levels ${facts.n}${named}${coder}${effort}`;
  const model = facts.model === "default" ? "" : `"${facts.model}"`;
  const python = [
    "from qann_core import Codec, read_image", "",
    `codec = Codec.load(${model})`,
    `latents = codec.encode(read_image(${JSON.stringify(file)}).pixels)`,
    `integers = codec.quantize(latents, ${facts.n}${facts.effort ? `, effort=${facts.effort}` : ""})`,
    `data = codec.pack_integers(integers${facts.coder === "brotli" ? "" : `, "${facts.coder}"`})`,
    "pixels = codec.decode(codec.unpack(data))",
  ];
  box.querySelector(".python").textContent = python.join("\n");
}
