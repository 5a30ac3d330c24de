// Two pictures of the same bytes without names: which is better? The tally stays in this browser.
const NAMES = { restored: "QANN", jpeg: "JPEG", webp: "WebP", avif: "AVIF" };
const RIVALS = ["jpeg", "webp", "avif"];
const KEY = "qann-blind-test";

export class BlindTest {
  constructor(compare, box) {
    Object.assign(this, { compare, box, running: false, pending: false });
    box.addEventListener("click", (event) => {
      const choice = event.target.closest("button")?.dataset.choice;
      if (choice === "again") this.start();
      else if (choice === "stop") this.stop();
      else if (choice) this.chosen(Number(choice));
    });
  }

  tally() {
    try { return JSON.parse(localStorage.getItem(KEY)) ?? {}; } catch { return {}; }
  }

  // Codecs that the server is asked for, whatever is shown.
  get wanted() { return this.pending ? RIVALS : []; }

  get allKnown() { return RIVALS.every((name) => this.compare.facts.sides[name]); }

  start() {
    const { facts } = this.compare;
    const rivals = RIVALS.filter((name) => facts.sides[name]?.met);
    this.pending = !rivals.length && !this.allKnown;
    if (this.pending) {
      this.compare.ask();
      return this.compare.say("The other codecs are being made; the test begins then.");
    }
    if (!rivals.length) return this.compare.say("No other codec gets down to these bytes here; raise N for a blind test.");
    this.facts = facts;
    const rival = rivals[Math.floor(Math.random() * rivals.length)];
    this.pair = Math.random() < 0.5 ? ["restored", rival] : [rival, "restored"];
    this.running = true;
    this.compare.say("");
    this.compare.root.classList.add("blind");
    ["left", "right"].forEach((place, index) => {
      this.compare.viewer.tag(place, "AB"[index], `at most ${facts.size}`);
      this.compare.viewer.show(place, facts.sides[this.pair[index]].url, `Picture ${"AB"[index]}`);
    });
    this.box.hidden = false;
    this.box.innerHTML = "<p>Two codecs, the same bytes. Move the divider and choose the better picture.</p>"
      + "<div class='row'><button type='button' class='button' data-choice='0'>A is better</button>"
      + "<button type='button' class='button' data-choice='1'>B is better</button>"
      + "<button type='button' class='chip' data-choice='stop'>Stop</button></div>";
    this.box.querySelector("button").focus({ preventScroll: true });
  }

  // More is known of what is shown: a test that was asked for begins once all is.
  ready() {
    if (this.pending && this.compare.facts.complete && this.allKnown) this.start();
  }

  chosen(index) {
    const { facts } = this;
    const tally = this.tally();
    const rival = this.pair.find((name) => name !== "restored");
    const won = this.pair[index] === "restored";
    const [wins, all] = tally[rival] ?? [0, 0];
    tally[rival] = [wins + (won ? 1 : 0), all + 1];
    try { localStorage.setItem(KEY, JSON.stringify(tally)); } catch { /* a private window */ }
    ["left", "right"].forEach((place, i) => {
      const name = this.pair[i];
      this.compare.viewer.tag(place, NAMES[name], facts.sides[name].note);
    });
    const counts = Object.entries(tally).map(([name, [w, n]]) => `${w} of ${n} against ${NAMES[name]}`);
    this.box.innerHTML = `<p>You chose <b>${NAMES[this.pair[index]]}</b>; A was `
      + `${NAMES[this.pair[0]]}, B was ${NAMES[this.pair[1]]}. QANN chosen so far: ${counts.join(", ")}.</p>`
      + "<div class='row'><button type='button' class='button' data-choice='again'>Once more</button>"
      + "<button type='button' class='chip' data-choice='stop'>Back to the comparison</button></div>";
    this.box.querySelector("button").focus({ preventScroll: true });
  }

  stop() {
    if (this.pending) this.compare.say("");
    this.pending = false;
    if (!this.running) return;
    this.running = false;
    this.box.hidden = true;
    this.compare.root.classList.remove("blind");
    this.compare.present(this.compare.facts);
  }
}
