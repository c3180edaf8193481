"use strict";
// Which estimator, which depth? The page holds the answer to every choice; this shows the one that is chosen.
(() => {
  const { advice, marks } = JSON.parse(document.getElementById("data").textContent);
  const control = (id) => document.getElementById(id);
  const [slider, within, counted] = ["memory", "within", "counted"].map(control);

  function mark(family) {
    const found = marks.find((each) => each.family === family);
    const [svg, use] = ["svg", "use"].map((name) => document.createElementNS("http://www.w3.org/2000/svg", name));
    svg.setAttribute("class", "mark");
    svg.setAttribute("aria-hidden", "true");
    if (found) use.setAttribute("href", `#${found.id}`);
    svg.append(use);
    return svg;
  }

  function fill(box, answer) {
    const part = (name) => box.querySelector(`[data-part="${name}"]`);
    for (const name of ["value", "cost", "note"]) part(name).textContent = answer[name];
    const code = document.createElement("code");
    if (answer.solver.length > 36) code.className = "long";
    for (const [, word, space] of answer.solver.matchAll(/([^\s(]*\(|[^\s(]+)(\s*)/g)) {
      const token = document.createElement("span");
      token.textContent = word;
      code.append(token, space);
    }
    part("solver").replaceChildren(...(answer.solver ? [mark(answer.family), code] : []));
  }

  function show() {
    const [level, stop] = [advice.levels[within.value], advice.stops[slider.value]];
    let reached = 0;
    for (const card of document.querySelectorAll("[data-card]")) {
      const task = advice.tasks[card.dataset.card];
      if (!task) continue; // no estimator ended well, and the card says so
      const answers = task.chosen[counted.value][within.value][slider.value].map((place) => task.answers[place]);
      ["cheapest", "best"].forEach((kind, i) => fill(card.querySelector(`[data-answer="${kind}"]`), answers[i]));
      card.querySelector('[data-answer="cheapest"] h4').textContent = `Cheapest gradient within ${level}`;
      reached += Boolean(answers[0].solver);
    }
    control("memory-words").textContent = stop;
    slider.setAttribute("aria-valuetext", stop);
    const tasks = Object.keys(advice.tasks).length;
    control("told").textContent = `A gradient within ${level} on ${reached} of ${tasks} tasks, tape: ${stop}.`;
  }

  if (!control("ask") || !advice.costs.length) return; // this run answers nothing
  slider.max = slider.value = advice.stops.length - 1;
  for (const [select, words, chosen] of [[within, advice.levels, 1], [counted, advice.costs, 0]]) {
    select.append(...words.map((word, place) => new Option(word, place, false, place === chosen)));
    select.closest("p").hidden = words.length < 2;
  }
  for (const each of [slider, within, counted]) each.addEventListener("input", show);
  control("ask").addEventListener("submit", (event) => event.preventDefault());
  control("ask").hidden = false;
  show();
})();
