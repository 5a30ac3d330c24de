// The address: a link to a photo, N, sides and tab, and what is copied.
const TAB = /^tab-(.*)-button$/;

export class Links {
  constructor(compare) {
    this.compare = compare;
    this.tab = new URLSearchParams(location.search).get("tab") ?? "";
    document.addEventListener("click", (event) => {
      const name = event.target.closest?.("button[role=tab]")?.id.match(TAB)?.[1];
      if (!name) return;
      this.tab = name === "compare" ? "" : name;
      this.write();
    }, true);
  }

  address() {
    const { state, levels } = this.compare;
    const { photo, left, right } = state;
    const query = new URLSearchParams(location.search);
    const own = photo === "own";
    const values = { n: levels.value, left, right, photo: own ? "" : photo, tab: this.tab };
    for (const [key, value] of Object.entries(values)) {
      if (value) query.set(key, value);
      else query.delete(key);
    }
    return `?${query}`;
  }

  write() { history.replaceState(history.state, "", this.address()); }

  share() {
    const { state, usualChoice } = this.compare;
    const missing = state.photo === "own" ? "your own photo is" : usualChoice ? "" : "the codec settings are";
    this.copy(new URL(this.address(), location.href).href,
      missing ? `Link copied; ${missing} not in it.` : "Link copied.");
  }

  async copy(text, done) {
    try {
      await navigator.clipboard.writeText(text);
      this.compare.say(done);
    } catch {
      this.compare.say(text);
    }
  }

  // Opens what a link names; what it names in vain is said.
  follow(query) {
    const { compare } = this;
    const { low, high } = compare.levels;
    const wrong = [];
    for (const place of ["left", "right"]) {
      const side = query.get(place);
      if (!side) continue;
      if (compare.$(`.chip[data-side="${CSS.escape(side)}"]`)) compare.state[place] = side;
      else wrong.push(`There is no side called “${side}”.`);
    }
    const named = query.get("photo");
    const photo = compare.$(`#gallery button[data-photo="${CSS.escape(named ?? "")}"]`)?.dataset.photo;
    if (named && !photo) wrong.push(`There is no photo called “${named}” in the gallery.`);
    const typed = Math.round(Number(query.get("n")));
    const n = typed ? Math.min(high, Math.max(low, typed)) : undefined;
    if (query.has("n") && n !== typed) wrong.push(`N is a whole number from ${low} to ${high} here.`);
    if (photo || n || query.has("left") || query.has("right")) compare.go({ photo, n });
    if (wrong.length) compare.say(wrong.join(" "));
    if (/^[a-z]+$/.test(this.tab)) this.open(50);
  }

  // Gradio's tabs may come later than our parts of the page.
  open(tries) {
    const button = document.getElementById(`tab-${this.tab}-button`);
    if (button && window.qannAsk) button.click();
    else if (tries) setTimeout(() => this.open(tries - 1), 100);
  }
}
