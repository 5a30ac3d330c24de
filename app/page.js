// What Gradio's components lack: dividers by keyboard, zoom to exact pixels that stays while N
// moves, N by keyboard, a file pasted or dropped anywhere.
() => {
  const label = "Divider between the two pictures";

  // Divider and pan listen to the mouse only: a key becomes a short drag.
  const drag = (element, dx, dy = 0) => {
    const box = element.getBoundingClientRect();
    const at = (x, y) => ({
      bubbles: true, view: window,
      clientX: box.left + box.width / 2 + x, clientY: box.top + box.height / 2 + y,
    });
    element.dispatchEvent(new MouseEvent("mousedown", at(0, 0)));
    document.body.dispatchEvent(new MouseEvent("mousemove", at(dx, dy)));
    document.body.dispatchEvent(new MouseEvent("mouseup", at(dx, dy)));
  };

  // Screen pixels for one pixel of the photo: at zoom 1, where all of it is seen, and now.
  const scales = (image) => {
    const box = image.parentElement.getBoundingClientRect();
    const fit = Math.min(box.width / image.naturalWidth, box.height / image.naturalHeight);
    const zoom = Number(/scale\(([\d.]+)\)/.exec(image.style.transform)?.[1] ?? 1);
    return { fit, now: fit * zoom };
  };

  // Zooms to the next whole scale (1:1, 2:1, 4:1, 8:1), about the divider. The only exact zoom
  // that Gradio's slider offers is a pinch, so this is one.
  const zoom = (picture, direction) => {
    const image = picture.querySelector("img");
    if (!image?.naturalWidth) return;
    const { fit, now } = scales(image);
    const stops = [fit, ...[1, 2, 4, 8].filter((s) => s > 1.002 * fit && s < 15 * fit)];
    const next = direction > 0
      ? stops.find((s) => s > 1.002 * now)
      : stops.reverse().find((s) => s < now / 1.002);
    if (!next) return;
    const handle = picture.querySelector("[data-testid=slider]").getBoundingClientRect();
    const inside = image.getBoundingClientRect();
    const x = Math.min(Math.max(handle.left + handle.width / 2, inside.left + 20), inside.right - 20);
    const y = handle.top + handle.height / 2;
    const pinch = (kind, halves) => {
      const event = new Event(kind, { bubbles: true, cancelable: true });
      event.touches = halves.map((half) => ({ clientX: x + half, clientY: y }));
      image.dispatchEvent(event);
    };
    pinch("touchstart", [-10, 10]);
    pinch("touchmove", [-10 * next / now, 10 * next / now]);
    pinch("touchend", []);
  };
  window.qannZoom = (name, direction) => zoom(document.querySelector(name), direction);

  const tellZoom = (image) => {
    const { fit, now } = scales(image);
    const picture = image.closest(".divided");
    picture.classList.toggle("pixels", now >= 1.98);
    picture.dataset.zoom = now < 1.002 * fit ? "" : `${Number(now.toFixed(2))} : 1`;
  };

  // While new pictures are on their way, on a slow line, the old ones must not pass for them.
  const tellBusy = (picture) => {
    const busy = [...picture.querySelectorAll("img")].some((image) => !image.complete);
    if (busy) picture.ariaBusy = "true";
    else picture.removeAttribute("aria-busy");
  };

  // Gradio forgets the zoom at each new picture; the same photo at another N keeps it. Of a photo
  // of another shape, Gradio takes the measures only when the frame changes its size.
  document.addEventListener("load", (event) => {
    const image = event.target;
    const picture = image.closest?.(".divided");
    if (!picture) return;
    tellBusy(picture);
    const name = document.querySelector(picture.id === "picture" ? "#source" : "#opened-sides");
    const photo = `${image.naturalWidth} ${image.naturalHeight} ${name.textContent}`;
    if (image.dataset.photo === photo) return event.stopPropagation();
    image.dataset.photo = photo;
    image.parentElement.style.height = "calc(100% - 1px)";
    setTimeout(() => { image.parentElement.style.height = ""; }, 60);
  }, true);

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
      const zooms = { "+": 1, "=": 1, "-": -1 };
      const picture = handle.closest(".divided");
      if (event.key in zooms) zoom(picture, zooms[event.key]);
      else if (event.shiftKey && event.key.startsWith("Arrow")) {
        const [dx, dy] = { Left: [1, 0], Right: [-1, 0], Up: [0, 1], Down: [0, -1] }[event.key.slice(5)];
        drag(picture.querySelector("img"), width / 20 * dx, width / 20 * dy);
      } else if (event.key in steps) drag(handle, steps[event.key]);
      else return;
      event.preventDefault();
      requestAnimationFrame(tell);
    });
    new MutationObserver(tell).observe(handle, { attributeFilter: ["style"] });
    tell();
  };

  const titles = { Undo: "Show all of the picture", "+": "Zoom in", "−": "Zoom out" };

  const look = () => {
    document.querySelectorAll(".divided .icon-button-wrapper button").forEach((button) => {
      const title = titles[button.ariaLabel];
      if (title) button.title = button.ariaLabel = title;
    });
    document.querySelectorAll(".divided [data-testid=slider]:not([data-equipped])").forEach(equip);
    for (const [names, pictures] of [["#captions", "#picture"], ["#opened-sides", "#opened"]]) {
      const sides = [...document.querySelectorAll(`${names} .side b`)].map((b) => b.textContent);
      document.querySelectorAll(`${pictures} img`).forEach((image, i) => {
        if (sides[i] && image.alt !== sides[i]) image.alt = sides[i];
        if (image.dataset.watched) return;
        image.dataset.watched = "yes";
        const picture = document.querySelector(pictures);
        new MutationObserver(() => tellBusy(picture)).observe(image, { attributeFilter: ["src"] });
        if (i > 0) return;
        new MutationObserver(() => tellZoom(image)).observe(image, { attributeFilter: ["style"] });
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
    if (!input.closest?.("#levels, #inside-levels, #assumed-levels") || !keys.includes(event.key)) return;
    clearTimeout(pause);
    pause = setTimeout(() => input.dispatchEvent(new PointerEvent("pointerup", { bubbles: true })), 250);
  });

  // Opens the tab that a file is for, and uploads it there as soon as its input is in the page.
  const take = (file, tries = 20) => {
    const opens = file.name.toLowerCase().endsWith(".qann");
    document.getElementById(opens ? "tab-open-button" : "tab-compare-button")?.click();
    const input = document.querySelector(`${opens ? "#qann-input" : "#upload"} input[type=file]`);
    if (!input) {
      if (tries > 0) setTimeout(() => take(file, tries - 1), 50);
      return;
    }
    const files = new DataTransfer();
    files.items.add(file);
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };

  document.addEventListener("paste", (event) => {
    const image = [...(event.clipboardData?.files ?? [])].find((f) => f.type.startsWith("image/"));
    if (!image) return;
    event.preventDefault();
    take(image);
  });

  // Beside the upload areas, which take a file themselves, a browser would leave the page for it.
  // A picture of the page itself is no file to take.
  let own = false;
  document.addEventListener("dragstart", () => { own = true; });
  document.addEventListener("dragend", () => { own = false; });
  document.addEventListener("dragover", (event) => {
    if (!own && event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    const file = event.dataTransfer?.files[0];
    if (own || !file || event.defaultPrevented) return;
    event.preventDefault();
    take(file);
  });
}
