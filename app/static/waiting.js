// What Gradio's client leaves to chance: a full queue, and answers that nobody listens to.

// A full queue is no error: the move is sent again, and ``tell`` says so.
//
// The server closes the stream of answers once it has sent them all. A move that is taken in the
// moment before the client hears of that is answered into a stream that nobody reads; any other
// event, which ``listen`` sends, makes the client open a new one.
export function patient(tell, listen) {
  const plain = window.fetch.bind(window);
  let taken = 0;
  window.fetch = async (input, init) => {
    const url = typeof input === "string" ? input : input?.url ?? String(input);
    if (url.includes("/queue/data")) {
      const before = taken;
      const signal = init?.signal ?? input.signal;
      signal?.addEventListener("abort", () => { if (taken > before) listen(); });
    }
    if (!url.includes("/queue/join")) return plain(input, init);
    for (let tries = 0; ; tries += 1) {
      const answer = await plain(input, init);
      if (answer.ok) taken += 1;
      if (answer.status !== 503 || tries >= 60) return answer;
      tell();
      await new Promise((done) => setTimeout(done, 1500 + 1500 * Math.random()));
    }
  };
}
