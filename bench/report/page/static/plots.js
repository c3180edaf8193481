"use strict";
// Plots, drawn by Vega when they come into view; they take the colours of the page.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const drawn = new Map(); // element -> result of vegaEmbed
  const axis = document.getElementById("axis");
  const abscissa = document.getElementById("abscissa");
  const picked = new Map(); // group of plots -> family that is brought out

  function config() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const font = style.fontFamily;
    return {
      background: "transparent",
      font,
      padding: 4,
      axis: {
        labelColor: colour("soft"),
        titleColor: colour("soft"),
        titleFontWeight: "normal",
        gridColor: colour("line"),
        domainColor: colour("edge"),
        tickColor: colour("edge"),
        labelFontSize: 11,
        titleFontSize: 12,
        labelOverlap: true,
      },
      view: { stroke: "transparent" },
      text: { color: colour("ink"), font },
      style: {
        quiet: { color: colour("faint"), strokeWidth: 1.3 },
        ring: { color: colour("ink"), strokeWidth: 1.2 },
        hint: { color: colour("faint"), fontSize: 9.5 },
      },
    };
  }

  function spec(box) {
    const id = box.dataset.plot;
    return data.plots[id.startsWith("cost-") ? `${id}-${abscissa.value}` : id];
  }

  async function draw(box) {
    const chosen = spec(box);
    const previous = drawn.get(box);
    if (previous) previous.finalize();
    drawn.delete(box);
    if (!chosen) {
      box.textContent = "This cost was not measured here.";
      return;
    }
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
    const result = await vegaEmbed(box, chosen, {
      renderer: "svg",
      config: config(),
      actions: { export: true, source: false, compiled: false, editor: false },
      downloadFileName: "eqgrad",
      tooltip: { theme: dark ? "dark" : "light" },
    });
    drawn.set(box, result);
    pick(box, picked.get(box.closest("[data-plots]")) || "");
    const menu = box.querySelector("summary");
    const title = box.closest("figure").querySelector("figcaption").textContent.trim();
    if (menu) menu.setAttribute("aria-label", `Save this plot: ${title}`);
  }

  function pick(box, family) {
    const result = drawn.get(box);
    if (result) result.view.signal("picked", family).run();
  }

  for (const legend of document.querySelectorAll(".legend")) {
    const group = legend.parentElement.querySelector("[data-plots]");
    legend.hidden = false;
    legend.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const family = button.getAttribute("aria-pressed") === "true" ? "" : button.dataset.pick;
      for (const each of legend.querySelectorAll("button"))
        each.setAttribute("aria-pressed", String(each.dataset.pick === family));
      picked.set(group, family);
      for (const box of group.querySelectorAll("[data-plot]")) pick(box, family);
    });
  }

  if (axis) {
    for (const [cost, title] of data.costs)
      if (Object.keys(data.plots).some((id) => id.startsWith("cost-") && id.endsWith(`-${cost}`)))
        abscissa.append(new Option(title, cost));
    abscissa.addEventListener("change", () => {
      for (const box of drawn.keys()) if (box.dataset.plot.startsWith("cost-")) draw(box);
    });
    axis.addEventListener("submit", (event) => event.preventDefault());
    axis.hidden = false;
  }

  const observer = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        observer.unobserve(entry.target);
        draw(entry.target);
      }
    },
    { rootMargin: "600px" },
  );
  document.querySelectorAll("[data-plot]").forEach((box) => observer.observe(box));
  document.addEventListener("themechange", () => {
    for (const box of [...drawn.keys()]) draw(box);
  });
})();
