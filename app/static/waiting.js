// What Gradio's client leaves to chance: a full queue, and answers that nobody listens to.
//
// A full queue is no error: the move is sent again, and ``tell`` says so.
//
// The server closes the stream of answers once it has sent them all. A move that is taken in the
// moment before the client hears of that is answered into a stream that nobody reads; any other
// event, which ``listen`` sends, makes the client open a new one.
export function patient(tell, listen) {
  const plain = window.fetch.bind(window);
  const taken = new Set(); // events that were not completed yet

  // The same stream; what is completed in it is no longer waited for.
  const heeded = (answer, signal) => {
    signal?.addEventListener("abort", () => {
      if (!taken.size) return;
      taken.clear(); // one call for each
      listen();
    });
    let rest = "";
    const look = new TransformStream({
      transform(text, to) {
        const lines = (rest + text).split("\n");
        rest = lines.pop();
        for (const line of lines.filter((each) => each.includes("process_completed"))) {
          taken.delete(JSON.parse(line.slice("data:".length)).event_id);
        }
        to.enqueue(text);
      },
    });
    const body = answer.body.pipeThrough(new TextDecoderStream()).pipeThrough(look);
    return new Response(body.pipeThrough(new TextEncoderStream()), answer);
  };

  const join = async (input, init) => {
    for (let tries = 0; ; tries += 1) {
      const answer = await plain(input, init);
      if (answer.ok) taken.add((await answer.clone().json()).event_id);
      if (answer.status !== 503 || tries >= 60) return answer;
      tell();
      await new Promise((done) => setTimeout(done, 1500 + 1500 * Math.random()));
    }
  };

  window.fetch = async (input, init) => {
    const url = typeof input === "string" ? input : input?.url ?? String(input);
    if (url.includes("/queue/join")) return join(input, init);
    const answer = await plain(input, init);
    return url.includes("/queue/data") && answer.ok
      ? heeded(answer, init?.signal ?? input.signal) : answer;
  };
}
