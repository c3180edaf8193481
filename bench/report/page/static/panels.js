"use strict";
// Images: two of a task swiped, side by side, or as a difference; zoomed; chosen from lists or from the strip.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const viewer = document.getElementById("viewer");
  const element = (id) => document.getElementById(id);
  const source = (view) => `data:image/png;base64,${data.images[view.digest]}`;
  const psnr = (view) => (view.psnr === null ? "" : `${view.psnr.toFixed(2)} dB`);

  // The best image of each task beside its measurement, in the head of its card.
  for (const card of document.querySelectorAll("[data-card]")) {
    const album = data.albums.find((each) => each.heading === card.dataset.card);
    if (!album) continue;
    const solver = card.querySelector('[data-answer="best"] [data-part="solver"]').textContent.trim();
    const mine = album.views.find((view) => view.kind === "equilibrium" && view.solver === solver);
    const measurement = album.views.find((view) => view.kind === "measurement");
    for (const view of [measurement, mine].filter(Boolean)) {
      const image = new Image();
      image.src = source(view);
      image.alt = "";
      card.querySelector("[data-thumbs]").append(image);
    }
  }

  if (!viewer) return;
  const stage = element("stage");
  const pair = element("pair");
  const swipe = element("swipe");
  const sides = { left: element("left"), right: element("right") };
  const strip = element("strip");
  let album = null;
  let zoom = 0; // powers of the square root of two above what fits

  function fitted() {
    const across = mode() === "side" ? 2 : 1;
    const width = (stage.clientWidth - 2) / across;
    return Math.max(Math.min(width / album.width, 440 / album.height), 0.1);
  }

  const mode = () => viewer.querySelector('[name="mode"]:checked').value;

  function size() {
    const scale = fitted() * Math.SQRT2 ** zoom;
    const middle = [
      (stage.scrollLeft + stage.clientWidth / 2) / (stage.scrollWidth || 1),
      (stage.scrollTop + stage.clientHeight / 2) / (stage.scrollHeight || 1),
    ];
    pair.style.setProperty("--width", `${Math.floor(scale * album.width)}px`);
    pair.style.setProperty("--height", `${Math.floor(scale * album.height)}px`);
    element("zoomed").textContent = `${scale.toFixed(1)} ×`;
    stage.scrollLeft = middle[0] * stage.scrollWidth - stage.clientWidth / 2;
    stage.scrollTop = middle[1] * stage.scrollHeight - stage.clientHeight / 2;
  }

  function zoomed(by) {
    zoom = by === 0 ? 0 : Math.max(0, Math.min(zoom + by, 8));
    size();
  }

  function cut() {
    pair.style.setProperty("--cut", `${swipe.value}%`);
    swipe.setAttribute("aria-valuetext", `${swipe.value} % of the left image`);
  }

  function show() {
    for (const [side, select] of Object.entries(sides)) {
      const view = album.views[select.value];
      const image = element(`${side}-image`);
      image.src = source(view);
      image.alt = `${album.heading}, ${side}: ${view.label}${psnr(view) && `, ${psnr(view)}`}`;
      element(`${side}-psnr`).textContent = psnr(view);
    }
    for (const button of strip.children)
      button.setAttribute("aria-pressed", String(button.dataset.view === sides.right.value));
    pair.dataset.mode = mode();
    swipe.closest("p").classList.toggle("idle", mode() !== "swipe");
    swipe.disabled = mode() !== "swipe";
    size();
  }

  function tile(view, place) {
    const button = document.createElement("button");
    const image = new Image();
    const words = document.createElement("span");
    const number = document.createElement("span");
    button.type = "button";
    button.dataset.view = place;
    image.src = source(view);
    image.alt = "";
    words.textContent = view.label;
    number.textContent = psnr(view);
    number.className = "tile-number";
    button.append(image, words, number);
    button.addEventListener("click", () => {
      sides.right.value = place;
      show();
    });
    return button;
  }

  function open() {
    album = data.albums[element("album").value];
    for (const select of Object.values(sides))
      select.replaceChildren(...album.views.map((view, place) => new Option(view.label, place)));
    const best = album.views.reduce(
      (a, b, place) => (b.kind === "equilibrium" && b.settled && (a < 0 || b.psnr > album.views[a].psnr) ? place : a),
      -1,
    );
    sides.left.value = album.views.findIndex((view) => view.kind === "measurement");
    sides.right.value = Math.max(best, 0);
    strip.replaceChildren(...album.views.map(tile));
    const more = album.left_out
      ? ` ${album.left_out} further images are left out to keep this page small; the files in rows/ have them.`
      : "";
    element("album-words").textContent =
      `One test image of seed ${album.seed}, ${album.width} × ${album.height} pixels; PSNR of this image alone.${more}`;
    zoom = 0;
    show();
  }

  element("album").addEventListener("change", open);
  for (const select of Object.values(sides)) select.addEventListener("change", show);
  for (const radio of viewer.querySelectorAll('[name="mode"]')) radio.addEventListener("change", show);
  for (const button of viewer.querySelectorAll("[data-zoom]"))
    button.addEventListener("click", () => zoomed(Number(button.dataset.zoom)));
  swipe.addEventListener("input", cut);
  stage.addEventListener("keydown", (event) => {
    const by = { "+": 1, "=": 1, "-": -1, 0: 0 }[event.key];
    if (by === undefined || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    zoomed(by);
  });
  stage.addEventListener(
    "wheel",
    (event) => {
      // Until the images are selected the wheel scrolls the page, as everywhere.
      if (document.activeElement !== stage || !event.deltaY) return;
      event.preventDefault();
      zoomed(event.deltaY < 0 ? 1 : -1);
    },
    { passive: false },
  );
  pair.addEventListener("pointermove", (event) => {
    if (!(event.buttons & 1) || mode() !== "swipe") return;
    const box = pair.getBoundingClientRect();
    swipe.value = Math.max(0, Math.min(100, (100 * (event.clientX - box.left)) / box.width));
    cut();
  });
  addEventListener("resize", size);
  viewer.hidden = false;
  open();
  cut();
})();
