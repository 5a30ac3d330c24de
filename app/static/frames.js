// Results made ahead for gallery photos: which there are, and pictures fetched before they are needed.
const indexes = new Map();
const fetched = new Map();

// What is there of a photo: {n: facts}; asked for again while it is not all there.
export async function framesOf(photo, version) {
  const known = indexes.get(photo);
  if (known && (known.whole || Date.now() - known.when < 4000)) return known.frames;
  try {
    const answer = await fetch(`frames/${version}/${photo}/index.json`, { cache: "no-cache" });
    if (!answer.ok) return known?.frames ?? {};
    const index = await answer.json();
    const frames = Object.fromEntries(index.frames.map((facts) => [facts.n, facts]));
    const whole = index.frames.length === index.stops.length
      && index.frames.every((facts) => facts.sides.psnr);
    indexes.set(photo, { frames, whole, when: Date.now() });
    return frames;
  } catch {
    return known?.frames ?? {};
  }
}

// Fetches the small pictures of all values of N, nearest first, when nothing else is going on.
export function prefetch(frames, n) {
  const order = Object.values(frames).sort((a, b) => Math.abs(Math.log(a.n / n)) - Math.abs(Math.log(b.n / n)));
  const urls = order.flatMap((facts) => ["quantized", "restored"].map((side) => facts.sides[side].moving));
  const next = () => {
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
