"use strict";
// Tables: sorted by a click on a head, filtered by words and by a list, with the columns one chooses.
(() => {
  const text = new Intl.Collator("en", { numeric: true });

  // Numbers before words; what was not measured stays last, whichever way one sorts.
  function compare(a, b, down) {
    if (a === null || b === null) return (a === null) - (b === null);
    const order = typeof a === "number" && typeof b === "number" ? a - b : text.compare(String(a), String(b));
    return down ? -order : order;
  }

  function key(cell) {
    if (cell.hasAttribute("data-none")) return null;
    return cell.hasAttribute("data-key") ? Number(cell.dataset.key) : cell.textContent.trim();
  }

  function start(grid) {
    const body = grid.querySelector("tbody");
    const rows = [...body.rows];
    const heads = [...grid.querySelectorAll("thead th")];
    const count = grid.querySelector("[data-count]");
    const filter = grid.querySelector("[data-filter]");
    const by = grid.querySelector("[data-by]");
    const low = rows.map((row) => row.textContent.toLowerCase());
    const columns = grid.querySelector(".columns");
    let sorted = "";

    function show() {
      const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, place) => {
        const fits =
          wanted.every((word) => low[place].includes(word)) &&
          (!by || !by.value || row.cells[by.dataset.by].textContent.trim() === by.value);
        row.hidden = !fits;
        shown += fits;
      });
      count.textContent = `${shown} of ${rows.length} rows${sorted}`;
    }

    function sort(place) {
      const before = heads[place].getAttribute("aria-sort");
      const down = before ? before === "ascending" : false;
      heads.forEach((head) => head.removeAttribute("aria-sort"));
      heads[place].setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = rows.map((row, position) => [key(row.cells[place]), position, row]);
      keyed.sort((a, b) => compare(a[0], b[0], down) || a[1] - b[1]);
      body.append(...keyed.map((entry) => entry[2]));
      sorted = `, sorted by ${heads[place].textContent.trim()}, ${down ? "falling" : "rising"}`;
      show();
    }

    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(place));
      head.append(button);
    });
    for (const box of grid.querySelectorAll("[data-column]")) {
      const set = () => {
        for (const row of grid.querySelectorAll("tr")) row.cells[box.dataset.column].hidden = !box.checked;
      };
      box.addEventListener("change", set);
      set();
    }
    filter.addEventListener("input", show);
    if (by) by.addEventListener("change", show);
    grid.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && columns.open) {
        columns.open = false;
        columns.querySelector("summary").focus();
      }
    });
    document.addEventListener("click", (event) => {
      if (columns.open && !columns.contains(event.target)) columns.open = false;
    });
    grid.querySelector(".tools").hidden = false;
    show();
  }

  document.querySelectorAll("[data-grid]").forEach(start);

  // A link into a part that is folded away unfolds it.
  function unfold() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const folded = target && target.closest("details:not([open])");
    if (folded) {
      folded.open = true;
      target.scrollIntoView();
    }
  }
  addEventListener("hashchange", unfold);
  unfold();
})();
