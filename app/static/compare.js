// The tab "Compare": what is shown, from files made ahead or from the server's answers.
import { equip, viewers } from "./viewer.js";
import { Levels } from "./slider.js";
import { forget, framesIn, prefetch } from "./frames.js";
import { errorMap } from "./errors.js";
import { BlindTest } from "./blind.js";
import { codeFor } from "./code.js";

const OWN = "own";
const PEERS = ["jpeg", "webp", "avif", "psnr"]; // the last one: the model for squared error
const STAY_MS = 5 * 60 * 1000; // how often the server hears that an own photo is still looked at

export class Compare {
  constructor(root) {
    this.root = root;
    this.$ = (selector) => root.querySelector(selector);
    const opening = JSON.parse(root.dataset.facts);
    this.version = root.dataset.version;
    this.usual = { model: opening.model, coder: opening.coder };
    this.usualChoice = true;
    this.state = { photo: opening.photo, left: "quantized", right: "restored", large: false };
    this.frames = { [opening.n]: opening };
    this.asked = {}; // sides by N that the server was asked for
    this.serial = 1;
    equip();
    this.viewer = viewers.get(this.$("#picture"));
    this.levels = new Levels(root, JSON.parse(root.dataset.range), JSON.parse(root.dataset.stops),
      (n) => this.move(n), (n) => this.rest(n), (text) => this.say(text));
    this.levels.snaps = true;
    this.facts = opening;
    this.blind = new BlindTest(this, this.$("#blind-test"));
    this.listen();
    this.present(opening);
    this.loadFrames();
    this.follow(new URLSearchParams(location.search));
  }

  say(text) { this.$("#message").textContent = text ?? ""; }

  // Where results of this photo are that were made ahead, if there are any.
  get folder() {
    const { photo } = this.state;
    if (!this.usualChoice) return null;
    return photo === OWN ? this.ownFolder : `frames/${this.version}/${photo}`;
  }

  // What was made ahead for N, with sides that the server was asked for.
  ahead(n) {
    const facts = this.folder ? this.frames[n] : undefined;
    return facts && { ...facts, sides: { ...this.asked[n], ...facts.sides } };
  }

  async loadFrames(wait = 2000) {
    clearTimeout(this.reload);
    const { folder } = this;
    if (!folder) return;
    const { frames, whole } = await framesIn(folder);
    if (folder !== this.folder) return;
    this.frames = frames;
    const facts = this.ahead(this.levels.value);
    // More is known of what is shown: other codecs, or SSIMULACRA 2.
    if (facts && this.hasSides(facts) && facts.n === this.facts.n && facts.photo === this.facts.photo
      && this.facts.complete && !this.moving) this.present(facts);
    prefetch(frames, this.levels.value);
    if (!whole) this.reload = setTimeout(() => this.loadFrames(Math.min(20000, 1.15 * wait)), wait);
  }

  // While the slider moves: small pictures that are here already.
  move(n) {
    this.leaveLesson(n);
    this.moving = true;
    this.serial += 1; // answers to earlier wishes come too late
    this.settled();
    const facts = this.ahead(n);
    if (facts) this.present(facts, true);
    else this.$("#n-size").textContent = "…";
  }

  rest(n) {
    this.moving = false;
    const facts = this.ahead(n);
    if (facts && this.hasSides(facts)) {
      this.present(facts);
      this.stay();
    } else this.ask();
    this.remember();
  }

  hasSides(facts) {
    return [this.state.left, this.state.right].every((side) => facts.sides[side]);
  }

  wish(more = {}) {
    const { photo, left, right, large } = this.state;
    const peers = PEERS.filter((peer) => [left, right, ...(this.wanted ?? [])].includes(peer));
    return { photo, n: this.levels.value, large, peers, serial: this.serial, ...more };
  }

  // No answer is waited for any more.
  settled() {
    clearTimeout(this.slow);
    clearTimeout(this.slower);
    this.viewer.wait("");
  }

  ask(more) {
    this.serial += 1;
    this.settled();
    this.slow = setTimeout(() => this.viewer.wait("Working …"), 700);
    this.slower = setTimeout(() => this.busy(), 6000);
    this.send(this.wish(more), "input");
  }

  busy() { this.viewer.wait("Many visitors at once; your move is waiting."); }

  // Gradio's part of the page may come later than ours.
  send(wish, event, tries = 100) {
    if (window.qannAsk) window.qannAsk(wish, event);
    else if (tries) setTimeout(() => this.send(wish, event, tries - 1), 100);
  }

  answered(facts) {
    if (facts.serial > 0 && facts.serial !== this.serial) return;
    this.settled();
    if (facts.message !== undefined) this.say(facts.message);
    if (facts.failed) return;
    const { folder } = this;
    const other = facts.photo !== this.state.photo;
    this.state.photo = facts.photo;
    this.state.large = facts.large ?? false;
    this.usualChoice = facts.model === this.usual.model && facts.coder === this.usual.coder
      && !facts.effort;
    this.ownFolder = facts.frames;
    this.levels.snaps = Boolean(this.folder);
    this.levels.set(facts.n);
    if (other) {
      this.chooseThumbnail();
      this.$("#lesson").textContent = "";
      this.viewer.reset();
    }
    if (this.folder !== folder) {
      this.frames = {};
      this.asked = {};
      this.loadFrames();
    }
    this.asked[facts.n] = facts.complete ? facts.sides : {};
    const large = this.$("#large");
    large.hidden = facts.photo !== OWN || !facts.has_large;
    large.setAttribute("aria-pressed", this.state.large);
    this.present(facts);
    this.remember();
  }

  // Shows facts: names, notes, figures, links and, unless they are on their way, both pictures.
  present(facts, moving = false) {
    this.facts = facts;
    this.$("#n-size").textContent = `${facts.size} · ${facts.bpp.toFixed(2)} bits per pixel`;
    for (const place of ["left", "right"]) this.presentSide(place, facts, moving);
    const verdict = this.$("#verdict");
    verdict.dataset.levels = facts.n;
    verdict.dataset.bytes = facts.bytes;
    verdict.dataset.model = facts.model;
    verdict.dataset.coder = facts.coder;
    verdict.dataset.effort = facts.effort;
    verdict.dataset.complete = facts.complete;
    if (moving) return;
    verdict.innerHTML = facts.cards;
    this.$("#source").textContent = facts.source;
    const links = [["#download-qann", facts.qann], ["#download-png", facts.sides.restored?.url]];
    for (const [link, url] of links) if (url) this.$(link).href = url;
    this.presentChips(facts);
    codeFor(this.root, facts);
  }

  async presentSide(place, facts, moving) {
    const name = this.state[place];
    const side = facts.sides[name];
    if (!side || this.blind.running) return;
    const label = this.$(`.chip[data-side=${name}]`).firstChild.textContent;
    const both = new Set([this.state.left, this.state.right]);
    const same = name === "restored" && both.has("quantized") ? ", the same file" : "";
    this.viewer.tag(place, label, side.note + same);
    let url = (moving && side.moving) || side.url;
    if (this.state.errors && !moving && name !== "original") {
      url = await errorMap(facts.sides.original.url, side.url);
      if (facts !== this.facts) return;
    }
    const shown = await this.viewer.show(place, url, `${label}: ${facts.source}`);
    // What was made ahead for an own photo goes when the server forgets the photo.
    if (shown === null && this.folder && facts === this.facts) this.lost(facts.n);
  }

  lost(n) {
    if (!this.frames[n]) return;
    forget(this.folder);
    this.frames = {};
    this.asked = {};
    this.rest(n);
  }

  presentChips(facts) {
    for (const chip of this.root.querySelectorAll(".chip[data-side]")) {
      const name = chip.dataset.side;
      const side = facts.sides[name];
      const peer = PEERS.includes(name);
      const note = peer && side ? (side.met ? side.size : `smallest: ${side.size}`) : "";
      chip.lastElementChild.textContent = note;
      const place = chip.parentElement.dataset.place;
      chip.setAttribute("aria-pressed", this.state[place] === name);
    }
  }

  setSide(place, name) {
    this.blind.stop();
    this.state[place] = name;
    if (this.facts.sides[name]) this.present(this.facts);
    else {
      this.presentChips(this.facts);
      this.ask();
    }
    this.remember();
  }

  // Another gallery photo, at N, from files made ahead where they are there.
  async go({ photo = this.state.photo, n = this.levels.value, text = "", ...sides }) {
    this.blind.stop();
    Object.assign(this.state, sides);
    this.state.photo = photo;
    this.state.large = false;
    this.$("#large").hidden = true;
    this.ownFolder = null;
    this.asked = {};
    this.levels.snaps = Boolean(this.folder);
    this.levels.set(n);
    this.chooseThumbnail();
    this.serial += 1; // answers to earlier wishes come too late
    this.settled();
    this.frames = {};
    const { folder } = this;
    const found = folder ? (await framesIn(folder)).frames : {};
    if (photo !== this.state.photo || folder !== this.folder) return;
    this.frames = found;
    this.viewer.reset();
    this.lesson = text ? n : undefined;
    this.$("#lesson").textContent = text;
    this.rest(this.levels.value);
    this.loadFrames();
  }

  leaveLesson(n) {
    if (this.lesson === n || !this.$("#lesson").textContent) return;
    this.$("#lesson").textContent = "";
    this.lesson = undefined;
  }

  chooseThumbnail() {
    for (const button of this.root.querySelectorAll("#gallery button")) {
      button.setAttribute("aria-pressed", button.dataset.photo === this.state.photo);
    }
  }

  listen() {
    this.root.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      if (button.dataset.side) this.setSide(button.parentElement.dataset.place, button.dataset.side);
      else if (button.dataset.photo) {
        this.go({
          photo: button.dataset.photo, n: Number(button.dataset.n) || undefined,
          text: button.dataset.text, ...JSON.parse(button.dataset.sides ?? "{}"),
        });
        const picture = this.$("#picture").getBoundingClientRect();
        if (picture.top < 0 || picture.top > innerHeight / 2) {
          const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
          this.$("#picture").scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
        }
      } else if (button.id === "errors") {
        this.state.errors = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", this.state.errors);
        this.present(this.facts);
      } else if (button.id === "large") {
        this.state.large = !this.state.large;
        this.ownFolder = null; // until the answer says where
        this.frames = {};
        button.setAttribute("aria-pressed", this.state.large);
        this.ask();
      } else if (button.id === "blind") this.blind.start();
      else if (button.id === "choose-own") document.querySelector("#upload input[type=file]")?.click();
      else if (button.id === "share") this.share();
      else if (button.id === "target-go") this.target();
      else if (button.dataset.copy) this.copy(this.$(`#code .${button.dataset.copy}`).textContent, "Copied.");
    });
    this.$("#target-value").addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.target();
    });
  }

  target() {
    const value = Number(this.$("#target-value").value);
    if (!(value > 0)) return this.say("A target is a number above 0.");
    const bytes = this.$("#target-unit").value === "kB"
      ? 1000 * value : value * this.facts.width * this.facts.height / 8;
    return this.ask({ bytes });
  }

  share() {
    const own = this.state.photo === OWN;
    this.copy(new URL(this.address(), location.href).href,
      own ? "Link copied; your own photo is not in it." : "Link copied.");
  }

  async copy(text, done) {
    try {
      await navigator.clipboard.writeText(text);
      this.say(done);
    } catch {
      this.say(text);
    }
  }

  address() {
    const { photo, left, right } = this.state;
    const query = new URLSearchParams(location.search);
    for (const [key, value] of Object.entries({ n: this.levels.value, left, right })) query.set(key, value);
    if (photo === OWN) query.delete("photo");
    else query.set("photo", photo);
    return `?${query}`;
  }

  // The server forgets photos that nobody looks at, and does not see what was made ahead.
  stay() {
    if (this.state.photo !== OWN || Date.now() - (this.stayed ?? 0) < STAY_MS) return;
    this.stayed = Date.now();
    this.send(this.wish(), "submit");
  }

  // In the address, and for the events that begin elsewhere, as an upload or another tab.
  remember() {
    this.send(this.wish());
    if (this.linked) history.replaceState(history.state, "", this.address());
    this.linked = true;
  }

  // A link to a photo, N, sides and tab.
  follow(query) {
    for (const place of ["left", "right"]) {
      const side = query.get(place);
      if (side && this.$(`.chip[data-side="${CSS.escape(side)}"]`)) this.state[place] = side;
    }
    const named = query.get("photo");
    const photo = this.$(`#gallery button[data-photo="${CSS.escape(named ?? "")}"]`)?.dataset.photo;
    const typed = Math.round(Number(query.get("n")));
    const n = typed ? Math.min(this.levels.high, Math.max(this.levels.low, typed)) : undefined;
    if (named && !photo) this.say(`There is no photo called “${named}” in the gallery.`);
    if (photo || n || query.has("left") || query.has("right")) this.go({ photo, n });
    const tab = query.get("tab");
    const open = (tries) => {
      const button = document.getElementById(`tab-${tab}-button`);
      if (button) button.click();
      else if (tries) setTimeout(() => open(tries - 1), 100);
    };
    if (/^[a-z]+$/.test(tab ?? "")) open(50);
  }
}
