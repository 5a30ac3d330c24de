// Results made ahead: which there are of a photo, and pictures fetched before they are needed.
const indexes = new Map();
const fetched = new Map();

// What is there in a photo's folder: {frames: {n: facts}, whole}.
export async function framesIn(folder) {
  const known = indexes.get(folder);
  if (known?.whole) return known;
  const nothing = { frames: {}, whole: false };
  try {
    const answer = await fetch(`${folder}/index.json`, { cache: "no-cache" });
    if (!answer.ok) return nothing;
    const index = await answer.json();
    const frames = Object.fromEntries(index.frames.map((facts) => [facts.n, facts]));
    indexes.set(folder, { frames, whole: index.whole });
    return indexes.get(folder);
  } catch {
    return known ?? nothing;
  }
}

// They are no longer there.
export function forget(folder) { indexes.delete(folder); }

let newest = 0;

// Ends what is being fetched.
export function halt() { newest += 1; }

// Fetches the small pictures of all values of N, nearest first, when nothing else is going on.
export function prefetch(frames, n) {
  const order = Object.values(frames).sort((a, b) => Math.abs(Math.log(a.n / n)) - Math.abs(Math.log(b.n / n)));
  const urls = order.flatMap((facts) => ["quantized", "restored"].map((side) => facts.sides[side].moving));
  halt();
  const number = newest;
  const next = () => {
    if (number !== newest) return;
    const url = urls.find((candidate) => !fetched.has(candidate));
    if (!url) return;
    const image = new Image();
    fetched.set(url, image);
    image.onload = image.onerror = () => setTimeout(next, 10);
    image.src = url;
  };
  if (navigator.connection?.saveData) return;
  next();
  next();
}
