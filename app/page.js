// What Gradio's components lack: dividers by keyboard, N by keyboard, a photo pasted anywhere.
() => {
  const label = "Divider between the two pictures";

  // The divider listens to the mouse only: a key becomes a short drag.
  const drag = (handle, pixels) => {
    const box = handle.getBoundingClientRect();
    const at = (dx) => ({
      bubbles: true, view: window,
      clientX: box.left + box.width / 2 + dx, clientY: box.top + box.height / 2,
    });
    handle.dispatchEvent(new MouseEvent("mousedown", at(0)));
    window.dispatchEvent(new MouseEvent("mousemove", at(pixels)));
    window.dispatchEvent(new MouseEvent("mouseup", at(pixels)));
  };

  const share = (handle) => {
    const wrap = handle.parentElement.getBoundingClientRect();
    const own = handle.getBoundingClientRect();
    const share = (own.left + own.width / 2 - wrap.left) / wrap.width;
    return Math.round(100 * Math.min(1, Math.max(0, share)));
  };

  const equip = (handle) => {
    handle.dataset.equipped = "yes";
    handle.tabIndex = 0;
    handle.setAttribute("role", "slider");
    handle.setAttribute("aria-label", label);
    handle.setAttribute("aria-valuemin", "0");
    handle.setAttribute("aria-valuemax", "100");
    const tell = () => handle.setAttribute("aria-valuenow", share(handle));
    handle.addEventListener("keydown", (event) => {
      const width = handle.parentElement.clientWidth;
      const steps = {
        ArrowLeft: -width / 50, ArrowRight: width / 50,
        PageDown: -width / 10, PageUp: width / 10, Home: -width, End: width,
      };
      if (!(event.key in steps)) return;
      event.preventDefault();
      drag(handle, steps[event.key]);
      requestAnimationFrame(tell);
    });
    new MutationObserver(tell).observe(handle, { attributeFilter: ["style"] });
    tell();
  };

  const look = () => {
    document.querySelectorAll(".divided [data-testid=slider]:not([data-equipped])").forEach(equip);
    for (const [names, pictures] of [["#captions", "#picture"], ["#opened-sides", "#opened"]]) {
      const titles = [...document.querySelectorAll(`${names} .side b`)].map((b) => b.textContent);
      document.querySelectorAll(`${pictures} img`).forEach((image, i) => {
        if (titles[i] && image.alt !== titles[i]) image.alt = titles[i];
      });
    }
  };
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
  look();

  // Gradio's slider reports a release for the pointer only.
  let pause;
  document.addEventListener("keyup", (event) => {
    const input = event.target;
    const keys = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown",
      "Home", "End", "Enter"];
    if (!input.closest?.("#levels, #inside-levels, #told-levels") || !keys.includes(event.key)) return;
    clearTimeout(pause);
    pause = setTimeout(() => input.dispatchEvent(new PointerEvent("pointerup", { bubbles: true })), 250);
  });

  document.addEventListener("paste", (event) => {
    const image = [...(event.clipboardData?.files ?? [])].find((f) => f.type.startsWith("image/"));
    const input = document.querySelector("#upload input[type=file]");
    if (!image || !input) return;
    event.preventDefault();
    const files = new DataTransfer();
    files.items.add(image);
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
}
