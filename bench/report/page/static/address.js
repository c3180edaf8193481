"use strict";
// The choices of a reader stand in the address, so that a link shows the same page.
(() => {
  const address = new URL(location.href);
  const controls = [...document.querySelectorAll("#memory, #within, #counted, #abscissa")];
  const usual = new Map(controls.map((control) => [control.id, control.value]));

  for (const control of controls) {
    const wanted = address.searchParams.get(control.id);
    if (wanted !== null) {
      control.value = wanted;
      // A list has no value for an option that this run lacks.
      if (control.value !== wanted) control.value = usual.get(control.id);
      control.dispatchEvent(new Event("input", { bubbles: true }));
      control.dispatchEvent(new Event("change", { bubbles: true }));
    }
    control.addEventListener("change", () => {
      if (control.value === usual.get(control.id)) address.searchParams.delete(control.id);
      else address.searchParams.set(control.id, control.value);
      address.hash = location.hash;
      history.replaceState(null, "", address);
    });
  }
})();
