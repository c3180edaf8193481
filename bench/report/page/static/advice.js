"use strict";
// Which estimator, which depth? The same answers as bench/report/page/recommendations.py, in the same words.
(() => {
  const { advice: data, marks } = JSON.parse(document.getElementById("data").textContent);
  const form = document.getElementById("ask");
  const slider = document.getElementById("memory");
  const told = document.getElementById("told");
  const within = document.getElementById("within");
  const counted = document.getElementById("counted");
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  // What was not measured comes as null.
  const orInfinite = (value) => (value === null ? Infinity : value);
  const spread = (values) => {
    const middle = mean(values);
    return Math.sqrt(values.reduce((sum, v) => sum + (v - middle) ** 2, 0) / (values.length - 1));
  };
  const first = (rows, ...keys) =>
    rows.reduce((a, b) => {
      for (const key of keys) if (key(a) !== key(b)) return key(b) < key(a) ? b : a;
      return a;
    });
  const tape = (row) => orInfinite(row.saved_mib);
  const loss = (row) => (row.loss.includes(null) ? null : mean(row.loss));
  const chanceOf = (values) => (values.length > 1 ? spread(values) : 0);
  const validation = (row) => {
    const every = row.validation.flat();
    return !every.length || every.includes(null) || row.validation.some((seed) => !seed.length) ? null : mean(every);
  };
  const orLowest = (row) => (validation(row) === null ? -Infinity : validation(row));

  function cheapest(rows, level, limit, cost) {
    const of = (row) => orInfinite(row[cost]);
    const known = rows.filter((row) => row.error !== null);
    const exact = known.filter((row) => row.error <= level.value);
    const timed = exact.filter((row) => of(row) < Infinity);
    const found = timed.filter((row) => tape(row) <= limit);
    if (found.length) {
      const row = first(found, of, tape);
      return { row, value: row.words.error, note: "" };
    }
    if (!known.length) return { note: "No exact gradient was computed for this task, so errors are not known." };
    if (!exact.length) {
      const closest = first(known, (row) => row.error);
      return {
        note: `Nothing measured is within ${level.words}. The closest: ${closest.solver}, ${closest.words.error}.`,
      };
    }
    if (!timed.length) return { note: `What is within ${level.words} was not timed.` };
    const least = first(timed, tape);
    return {
      note: `Nothing within ${level.words} fits on that tape. The least that does: ${least.solver}, ${least.words.tape}.`,
    };
  }

  function ties(row, top) {
    if (String(row.seeds) !== String(top.seeds)) return false;
    const above = row.loss.map((value, place) => {
      const least = top.loss[place];
      return value === least ? 0 : least === 0 ? Infinity : (value - least) / Math.abs(least);
    });
    if (!above.every(Number.isFinite)) return false;
    return mean(above) <= Math.max(chanceOf(above), data.loss_alike) && Math.min(...above) <= data.loss_alike;
  }

  function lower(row, other) {
    if (validation(row) === null || validation(other) === null) return false;
    const sizes = (each) => String(each.validation.map((seed) => seed.length));
    if (sizes(row) !== sizes(other)) return false;
    const seeds = row.validation.map((mine, seed) => mine.map((value, image) => other.validation[seed][image] - value));
    const every = seeds.flat();
    if (every.length < 2) return false; // one image shows no difference
    return mean(every) > Math.max(spread(every), chanceOf(seeds.map(mean)), data.alike);
  }

  function best(task, limit, cost) {
    const of = (row) => orInfinite(row[cost]);
    const settled = task.rows.filter((row) => row.settled);
    const told = settled.filter((row) => loss(row) !== null);
    const known = told.filter((row) => tape(row) <= limit);
    if (!known.length) {
      if (task.rows.every((row) => row.psnr === null))
        return { note: "Nothing was trained in this run, so there is no PSNR." };
      if (!settled.length)
        return { note: "No learned operator has an equilibrium on every seed where plain iteration stays." };
      if (!told.length)
        return {
          note: "The training loss at the equilibrium was not recorded, and test images choose nothing: their PSNRs are in the tables.",
        };
      const least = first(told, tape);
      return {
        note: `Nothing trained fits on that tape. The least that does: ${least.solver}, ${least.words.tape}.`,
      };
    }
    const top = first(known, loss);
    const tied = known.filter((row) => row === top || ties(row, top));
    const highest = first(tied, (row) => -orLowest(row));
    const kept = tied.filter((row) => !lower(row, highest));
    const row = first(kept, of, tape);
    const higher = known.filter((other) => !kept.includes(other) && lower(row, other));
    const notes = [];
    const others = kept.length - 1;
    const images = data.images[row.validation.flat().length];
    if (others) notes.push(`Tied with ${others === 1 ? "1 other" : `${others} others`}; this is the cheapest.${images}`);
    if (top !== row) notes.push(`The lowest mean: ${top.solver}, ${top.words.top}.`);
    if (higher.length) {
      const best = first(higher, (other) => -orLowest(other));
      notes.push(
        `Higher on the validation images: ${best.solver}, ${best.words.validation} against ${row.words.validation}.`,
      );
    }
    if (task.measurement !== null && row.at_equilibrium < task.measurement)
      notes.push(`Worse than the measurement itself, ${task.words}.`);
    return { row, value: row.words.psnr, note: notes.join(" ") };
  }

  function mark(family) {
    const found = marks.find((m) => m.family === family);
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    svg.setAttribute("class", "mark");
    svg.setAttribute("aria-hidden", "true");
    if (found) use.setAttribute("href", `#${found.id}`);
    svg.append(use);
    return svg;
  }

  function fill(box, answer) {
    const part = (name) => box.querySelector(`[data-part="${name}"]`);
    const code = document.createElement("code");
    code.textContent = answer.row ? answer.row.solver : "";
    if (code.textContent.length > 36) code.className = "long";
    part("solver").replaceChildren(...(answer.row ? [mark(answer.row.family), code] : []));
    part("value").textContent = answer.row ? answer.value : "";
    part("cost").textContent = answer.row ? answer.row.words.cost : "";
    part("note").textContent = answer.note;
  }

  function show() {
    const stop = data.stops[slider.value];
    const limit = orInfinite(stop.limit);
    const level = data.levels[within.value];
    const cost = data.costs[counted.value].name;
    let reached = 0;
    let tasks = 0;
    for (const card of document.querySelectorAll("[data-card]")) {
      const task = data.headings[card.dataset.card];
      if (!task) continue; // nothing ended well there, and the card says so
      const gradient = card.querySelector('[data-answer="cheapest"]');
      const answer = cheapest(task.rows, level, limit, cost);
      gradient.querySelector("h4").textContent = `Cheapest gradient within ${level.words}`;
      fill(gradient, answer);
      fill(card.querySelector('[data-answer="best"]'), best(task, limit, cost));
      tasks += 1;
      reached += Boolean(answer.row);
    }
    document.getElementById("memory-words").textContent = stop.words;
    slider.setAttribute("aria-valuetext", stop.words);
    slider.style.setProperty("--done", `${(100 * slider.value) / Math.max(slider.max, 1)}%`);
    told.textContent = `A gradient within ${level.words} on ${reached} of ${tasks} tasks, tape: ${stop.words}.`;
  }

  function choices(select, entries, chosen) {
    entries.forEach((entry, place) => {
      const option = new Option(entry.words, place);
      option.selected = place === chosen;
      select.append(option);
    });
    select.closest("p").hidden = entries.length < 2;
  }

  if (!form || !data.costs.length) return; // nothing to answer from
  slider.max = data.stops.length - 1;
  slider.value = slider.max;
  choices(within, data.levels, 1);
  choices(counted, data.costs, 0);
  for (const control of [slider, within, counted]) control.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  show();
})();
