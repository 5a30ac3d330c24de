// A full queue is no error: the move is sent again.
export function patient(tell) {
  const plain = window.fetch.bind(window);
  window.fetch = async (input, init) => {
    const url = typeof input === "string" ? input : input?.url ?? String(input);
    if (!url.includes("/queue/join")) return plain(input, init);
    for (let tries = 0; ; tries += 1) {
      const answer = await plain(input, init);
      if (answer.status !== 503 || tries >= 60) return answer;
      tell();
      await new Promise((done) => setTimeout(done, 1500 + 1500 * Math.random()));
    }
  };
}
