// Two pictures with a divider: drag, keys, zoom, full screen. The wheel and a vertical swipe scroll
// the page, unless the pointer has clicked in, or Ctrl is held.
const STOPS = [1, 2, 4, 8];
const KEYS = { ArrowLeft: -2, ArrowRight: 2, PageDown: -10, PageUp: 10, Home: -100, End: 100 };

export class Viewer {
  constructor(root) {
    this.root = root;
    this.images = [...root.querySelectorAll(".pictures img")];
    this.divider = root.querySelector(".divider");
    this.split = Number(root.dataset.split); // per cent of the picture's width
    this.zoom = 0; // 0: fills the frame where that hides little, else all is seen
    this.centre = { x: 0.5, y: 0 };
    this.tokens = [0, 0]; // of the newest picture wanted on each side
    this.pending = [false, false];
    this.pointers = new Map();
    this.images[0].addEventListener("load", () => this.measure());
    new ResizeObserver(() => this.measure()).observe(root);
    this.listen();
    this.measure();
  }

  // Shows a picture, decoded first, so that nothing flashes; until then the old one is faded.
  // Whether it is shown: false where another has been wanted since, null where there is none.
  async show(place, url, alt) {
    const index = place === "left" ? 0 : 1;
    const image = this.images[index];
    const token = ++this.tokens[index];
    if (image.getAttribute("src") === url) {
      this.busy(index, false);
      image.classList.remove("lacking", "gone");
      return true;
    }
    this.busy(index, true);
    const fresh = new Image();
    fresh.src = url;
    try { await fresh.decode(); } catch { /* a picture that decodes as it is painted, or none */ }
    if (token !== this.tokens[index]) return false;
    if (!fresh.naturalWidth) return null;
    this.busy(index, false);
    image.src = url;
    image.classList.remove("lacking", "gone");
    if (alt) image.alt = alt;
    return true;
  }

  // What belongs here is still being made: the old picture is faded, or that of another photo gone.
  lack(place, gone) {
    const index = place === "left" ? 0 : 1;
    this.tokens[index] += 1;
    this.busy(index, false);
    this.images[index].classList.add("lacking");
    this.images[index].classList.toggle("gone", gone);
  }

  busy(index, is) {
    this.pending[index] = is;
    if (this.pending.some(Boolean)) this.root.ariaBusy = "true";
    else this.root.removeAttribute("aria-busy");
  }

  tag(place, label, note) {
    const tag = this.root.querySelector(`.tag.${place}`);
    tag.firstElementChild.textContent = label;
    tag.lastElementChild.textContent = note ?? "";
  }

  wait(text) {
    const box = this.root.querySelector(".waiting");
    if (box.textContent !== text) box.textContent = text;
  }

  reset() {
    this.zoom = 0;
    this.centre = { x: 0.5, y: 0 };
    this.measure();
  }

  measure() {
    const { naturalWidth: width, naturalHeight: height } = this.images[0];
    const box = this.root.getBoundingClientRect();
    if (!width || !box.width) return;
    if (this.shape !== `${width} ${height}`) {
      if (this.shape) { this.zoom = 0; this.centre = { x: 0.5, y: 0 }; }
      this.shape = `${width} ${height}`;
    }
    this.fit = Math.min(box.width / width, box.height / height);
    const fill = Math.max(box.width / width, box.height / height);
    // A photo is cropped to the frame where four fifths of it stay; the square opening photo too.
    const fills = this.fit / fill > 0.58 && !document.fullscreenElement;
    this.scale = this.zoom ? this.zoom : fills ? fill : this.fit;
    this.size = { width: width * this.scale, height: height * this.scale, box };
    const free = { x: box.width - this.size.width, y: box.height - this.size.height };
    this.left = free.x >= 0 ? free.x / 2 : free.x * this.centre.x;
    this.top = free.y >= 0 ? free.y / 2 : free.y * this.centre.y;
    for (const image of this.images) {
      image.style.width = `${this.size.width}px`;
      image.style.height = `${this.size.height}px`;
      image.style.transform = `translate(${this.left}px, ${this.top}px)`;
      image.style.imageRendering = this.scale >= 1.98 * (window.devicePixelRatio || 1) ? "pixelated" : "";
    }
    this.root.classList.toggle("zoomed", this.zoom > 0);
    this.place();
  }

  place() {
    const { width, box } = this.size;
    const x = Math.min(box.width, Math.max(0, this.left + width * this.split / 100));
    this.divider.style.left = `${x}px`;
    this.divider.setAttribute("aria-valuenow", Math.round(this.split));
    const inside = Math.min(width, Math.max(0, x - this.left));
    this.images[1].style.clipPath = `inset(0 0 0 ${inside}px)`;
    this.images[0].style.clipPath = `inset(0 ${width - inside}px 0 0)`;
  }

  divide(clientX) {
    const x = clientX - this.size.box.left - this.left;
    this.split = Math.min(100, Math.max(0, 100 * x / this.size.width));
    this.place();
  }

  pan(dx, dy) {
    const free = { x: this.size.box.width - this.size.width, y: this.size.box.height - this.size.height };
    if (free.x < 0) this.centre.x = Math.min(1, Math.max(0, (this.left + dx) / free.x));
    if (free.y < 0) this.centre.y = Math.min(1, Math.max(0, (this.top + dy) / free.y));
    this.measure();
  }

  // Zooms to a scale in screen pixels for one of the photo; what is at (x, y) stays there.
  zoomTo(scale, x, y) {
    const { box } = this.size;
    x ??= this.left + this.size.width * this.split / 100;
    y ??= box.height / 2;
    const at = { x: (x - this.left) / this.scale, y: (y - this.top) / this.scale };
    this.zoom = Math.min(16, Math.max(this.fit, scale));
    const { naturalWidth, naturalHeight } = this.images[0];
    const free = {
      x: box.width - naturalWidth * this.zoom, y: box.height - naturalHeight * this.zoom,
    };
    if (free.x < 0) this.centre.x = Math.min(1, Math.max(0, (x - at.x * this.zoom) / free.x));
    if (free.y < 0) this.centre.y = Math.min(1, Math.max(0, (y - at.y * this.zoom) / free.y));
    this.measure();
    this.root.dataset.zoom = `${Number(this.zoom.toFixed(2))} : 1`;
    this.root.querySelector(".tools").dataset.zoom = this.root.dataset.zoom;
  }

  step(direction) {
    const stops = [this.fit, ...STOPS.filter((s) => s > 1.01 * this.fit)];
    const next = direction > 0
      ? stops.find((s) => s > 1.01 * this.scale)
      : stops.reverse().find((s) => s < this.scale / 1.01);
    if (next) this.zoomTo(next);
  }

  fullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen?.();
  }

  listen() {
    const { root, divider } = this;
    root.querySelector(".tools").addEventListener("click", (event) => {
      const action = event.target.closest("button")?.dataset.do;
      if (action === "fullscreen") this.fullscreen();
      else if (action) this.step(action === "zoom-in" ? 1 : -1);
    });
    divider.addEventListener("keydown", (event) => {
      if (event.key === "+" || event.key === "=") this.step(1);
      else if (event.key === "-") this.step(-1);
      else if (event.shiftKey && event.key.startsWith("Arrow")) {
        const [dx, dy] = { Left: [40, 0], Right: [-40, 0], Up: [0, 40], Down: [0, -40] }[event.key.slice(5)];
        this.pan(dx, dy);
      } else if (event.key in KEYS) {
        this.split = Math.min(100, Math.max(0, this.split + KEYS[event.key]));
        this.place();
      } else return;
      event.preventDefault();
    });
    root.addEventListener("pointerdown", (event) => this.press(event));
    root.addEventListener("pointermove", (event) => this.drag(event));
    for (const kind of ["pointerup", "pointercancel"]) {
      root.addEventListener(kind, (event) => this.pointers.delete(event.pointerId));
    }
    root.addEventListener("pointerleave", () => { this.entered = false; });
    root.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !this.entered) return; // the page scrolls
      event.preventDefault();
      const { box } = this.size;
      this.zoomTo(this.scale * 1.0015 ** -event.deltaY, event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
    window.addEventListener("scroll", () => { if (this.size) this.size.box = root.getBoundingClientRect(); }, { passive: true });
  }

  press(event) {
    if (event.target.closest(".tools") || event.button > 0 || !this.size) return;
    this.size.box = this.root.getBoundingClientRect();
    this.entered = event.pointerType === "mouse";
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.pinch = null;
    const line = this.divider.getBoundingClientRect();
    const near = Math.abs(event.clientX - line.left - line.width / 2) < 28;
    this.panning = this.zoom > 0 && !near;
    this.root.setPointerCapture(event.pointerId);
    if (!this.panning && this.pointers.size === 1 && event.pointerType === "mouse") this.divide(event.clientX);
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (this.pointers.size === 2) {
      const [a, b] = [...this.pointers.values()];
      const apart = Math.hypot(a.x - b.x, a.y - b.y);
      this.pinch ??= { apart, scale: this.scale };
      const { box } = this.size;
      this.zoomTo(this.pinch.scale * apart / this.pinch.apart,
        (a.x + b.x) / 2 - box.left, (a.y + b.y) / 2 - box.top);
    } else if (this.panning) this.pan(event.clientX - before.x, event.clientY - before.y);
    else this.divide(event.clientX);
  }
}

// A viewer for each such element, now and later.
export const viewers = new Map();

export function equip() {
  for (const root of document.querySelectorAll(".viewer")) {
    if (!viewers.has(root)) viewers.set(root, new Viewer(root));
  }
}
