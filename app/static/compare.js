// The tab "Compare": what is shown, from files made ahead or from the server's answers.
import { equip, viewers } from "./viewer.js";
import { Levels } from "./slider.js";
import { forget, framesIn, halt, prefetch } from "./frames.js";
import { GAIN, errorMap } from "./errors.js";
import { BlindTest } from "./blind.js";
import { Links } from "./links.js";
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
    this.serial = Date.now(); // of the newest wish; grows also from page to page
    equip();
    this.viewer = viewers.get(this.$("#picture"));
    this.levels = new Levels(root, JSON.parse(root.dataset.range), JSON.parse(root.dataset.stops),
      (n) => this.move(n), (n) => this.rest(n), (text) => this.say(text));
    this.levels.snaps = true;
    this.facts = opening;
    this.shown = {}; // whose picture is on each side
    this.blind = new BlindTest(this, this.$("#blind-test"));
    this.lesson = opening.n; // the first one's text stands on the page
    this.links = new Links(this);
    this.listen();
    this.present(opening);
    this.loadFrames();
    this.links.follow(new URLSearchParams(location.search));
  }

  say(text) { this.$("#message").textContent = text ?? ""; }

  // A file that is not even sent, from wherever on the page it came.
  refuse(text) {
    this.say(text);
    this.$("#message").scrollIntoView({ block: "nearest" });
  }

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
    this.blind.stop();
    this.leaveLesson(n);
    this.say("");
    this.moving = true;
    this.turn();
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
    const peers = PEERS.filter((peer) => [left, right, ...this.blind.wanted].includes(peer));
    return { photo, n: this.levels.value, large, peers, serial: this.serial, ...more };
  }

  // Answers to earlier wishes, and what is left of one that nobody asked for here, come too late.
  turn() {
    this.serial += 1;
    this.overtaken = this.unasked;
  }

  heeds({ serial }) {
    if (serial > 0) return serial === this.serial;
    this.unasked = serial;
    return serial !== this.overtaken;
  }

  // No answer is waited for any more.
  settled() {
    clearTimeout(this.slow);
    this.viewer.wait("");
  }

  // An answer is on its way, or what is still missing of it.
  expect() {
    this.settled();
    this.slow = setTimeout(() => this.viewer.wait("Working …"), 700);
  }

  ask(more) {
    this.turn();
    if (this.owed) this.send(this.wish(more), "submit"); // what is being made can end
    this.owed = true;
    this.expect();
    this.send(this.wish(more), "input");
  }

  // Gradio asks: another model, coder or effort was chosen.
  changes() {
    this.owed = true;
    this.expect();
  }

  busy() {
    clearTimeout(this.slow);
    this.viewer.wait("Many visitors at once; your move is waiting.");
  }

  // A file is on its way to become the own photo; what was made ahead of the one before goes.
  brought() {
    this.expect();
    if (this.state.photo !== OWN) return;
    clearTimeout(this.reload);
    halt();
  }

  // Gradio's part of the page may come later than ours.
  send(wish, event, tries = 100) {
    if (window.qannAsk) window.qannAsk(wish, event);
    else if (tries) setTimeout(() => this.send(wish, event, tries - 1), 100);
  }

  answered(facts) {
    if (facts.complete || facts.failed) this.owed = false;
    if (!this.heeds(facts)) return;
    if (facts.crowded) return this.busy();
    if (facts.message) this.say(facts.message);
    if (facts.failed) {
      this.settled();
      this.loadFrames();
      return;
    }
    if (!this.isOf(facts)) this.blind.stop();
    this.leaveLesson(facts.n);
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
    if (facts.complete && this.hasSides(facts)) this.settled();
    else this.expect();
    this.blind.ready();
  }

  // Whether facts are of what is shown: the same photo, N and settings.
  isOf(facts) {
    return ["photo", "name", "n", "model", "coder", "effort"].every((key) => facts[key] === this.facts[key]);
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
    for (const [link, url] of links) {
      if (url) this.$(link).href = url;
      else this.$(link).removeAttribute("href");
    }
    this.presentChips(facts);
    codeFor(this.root, facts);
  }

  async presentSide(place, facts, moving) {
    if (this.blind.running) return;
    const name = this.state[place];
    const side = facts.sides[name];
    const label = this.$(`.chip[data-side=${name}]`).firstChild.textContent;
    const photo = `${facts.photo} ${facts.name}`;
    if (!side) {
      this.viewer.tag(place, label, "…");
      this.viewer.lack(place, photo !== this.shown[place]);
      return;
    }
    this.shown[place] = photo;
    const both = new Set([this.state.left, this.state.right]);
    const same = name === "restored" && both.has("quantized") ? ", the same file" : "";
    this.viewer.tag(place, label, side.note + same);
    let url = (moving && side.moving) || side.url;
    if (this.state.errors && !moving && name !== "original") {
      this.viewer.tag(place, `Errors of ${label}`, `${GAIN} times as bright · ${side.note}`);
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
    this.leaveLesson();
    this.state[place] = name;
    this.present(this.facts);
    if (!this.facts.sides[name]) this.ask();
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
    this.say("");
    this.turn();
    this.settled();
    this.send(this.wish());
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
      else if (button.id === "share") this.links.share();
      else if (button.id === "target-go") this.target();
      else if (button.dataset.copy) this.links.copy(this.$(`#code .${button.dataset.copy}`).textContent, "Copied.");
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

  // The server forgets photos that nobody looks at, and does not see what was made ahead.
  stay() {
    if (this.state.photo !== OWN || Date.now() - (this.stayed ?? 0) < STAY_MS) return;
    this.stayed = Date.now();
    this.send(this.wish(), "submit");
  }

  // In the address, and for the events that begin elsewhere, as an upload or another tab.
  remember() {
    this.send(this.wish());
    this.links.write();
  }
}
