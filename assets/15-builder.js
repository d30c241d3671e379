// The Backtest page: the keyboard keeps its place when rows are drawn anew, a double click runs once, and the address
// names the result that is shown.
(function () {
  "use strict";

  const builder = () => document.getElementById("backtest-builder");
  const fields = () => [...builder().querySelectorAll("select, input")].filter((field) => field.checkVisibility());

  // What stood in the builder when one of its buttons was pressed, until the rows are drawn anew.
  let pressed = null;

  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("#backtest-builder button");
    if (!button) return;
    const before = fields();
    const after = before.findIndex((field) => button.compareDocumentPosition(field) & Node.DOCUMENT_POSITION_FOLLOWING);
    const row = button.closest(".builder-filter, .builder-row, .builder-group");
    const inside = before.findIndex((field) => row && row.contains(field));
    pressed = { button, ids: new Set(before.map((field) => field.id)), at: inside < 0 ? after : inside };
  }, true);

  // Someone who went on to another control by then keeps it.
  document.addEventListener("focusin", (event) => {
    if (pressed && event.target !== pressed.button) pressed = null;
  });

  // The first field of what is new; where something was removed, the field that took its place.
  function settle() {
    const { ids, at } = pressed;
    const now = fields();
    const target = now.find((field) => !ids.has(field.id)) || now[Math.min(Math.max(at, 0), now.length - 1)];
    pressed = null;
    if (target) target.focus();
  }

  new MutationObserver(() => {
    if (pressed && document.activeElement === document.body && builder() && fields().length) settle();
  }).observe(document, { subtree: true, childList: true });

  // Not an Output: what draws the result also listens to the query, and Dash would see a circle.
  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    backtest: {
      hear: (search) => search,

      address(run) {
        const search = `?run=${run}`;
        if (run && search !== window.location.search) window.dash_clientside.set_props("url", { search });
      },
    },
  });

  document.addEventListener("click", (event) => {
    const runs = "#backtest-run, #sql-run, #sql-preview";
    if (event.detail > 1 && event.target.closest && event.target.closest(runs)) event.stopPropagation();
  }, true);
})();
