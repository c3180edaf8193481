"use strict";
// The theme: that of the system, or the other one.
(() => {
  const button = document.getElementById("theme");
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const order = ["auto", "light", "dark"];
  const words = { auto: "◐ Auto", light: "○ Light", dark: "● Dark" };

  function set(theme) {
    root.dataset.theme = theme;
    button.textContent = words[theme];
    button.setAttribute("aria-label", `Theme: ${words[theme].slice(2)}`);
    document.dispatchEvent(new Event("themechange"));
  }

  set(root.dataset.theme);
  button.hidden = false;
  button.addEventListener("click", () => {
    set(order[(order.indexOf(root.dataset.theme) + 1) % order.length]);
  });
  system.addEventListener("change", () => document.dispatchEvent(new Event("themechange")));
})();
