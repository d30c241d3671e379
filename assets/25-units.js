// The list of who carries a signal: what its filters ask for, and which columns a narrow screen keeps. The playbook
// form: the keyboard keeps its place.
(function () {
  "use strict";

  const WIDE_ONLY = ["company", "plan", "role", "matched_at", "day", "standing"];
  const WIDE_PX = 700;
  const TYPING_MS = 250;
  let typing = null; // the timer of a pause in typing

  // The grid still speaks when its page is gone.
  function fitCarriers({ api }) {
    const grid = document.getElementById("carriers-grid");
    const width = grid ? grid.clientWidth : 0;
    if (width) api.setColumnsVisible(WIDE_ONLY, width >= WIDE_PX);
  }

  const holding = (text) => (text ? { filterType: "text", type: "contains", filter: text } : undefined);

  // A changed filter makes the grid forget its rows and ask again; the server reads the filters from its request.
  function ask(text, converted) {
    const filters = { who: holding(text.trim()), outcome: holding(converted === "all" ? "" : converted) };
    const filterModel = Object.fromEntries(Object.entries(filters).filter(([, filter]) => filter));
    if (document.getElementById("carriers-grid")) window.dash_clientside.set_props("carriers-grid", { filterModel });
  }

  // The rows of the playbook form are drawn anew after every button: the keyboard goes on in the row that is new, or in
  // the last one. Someone who went on to another control by then keeps it.
  let pressed = null; // the button, and the fields there were
  const rows = () => [...document.querySelectorAll("#playbook-rows select")];

  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("#playbook-rows button");
    if (button) pressed = { button, ids: new Set(rows().map(({ id }) => id)) };
  }, true);

  document.addEventListener("focusin", (event) => {
    if (pressed && event.target !== pressed.button) pressed = null;
  });

  new MutationObserver(() => {
    if (!pressed || document.activeElement !== document.body || !rows().length) return;
    const { ids } = pressed;
    pressed = null;
    (rows().find(({ id }) => !ids.has(id)) || rows().at(-1)).focus();
  }).observe(document, { subtree: true, childList: true });

  window.dashAgGridFunctions = Object.assign(window.dashAgGridFunctions || {}, { fitCarriers });
  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    carriers: {
      filter(text, converted) {
        const { triggered } = window.dash_clientside.callback_context;
        window.clearTimeout(typing);
        const isTyped = triggered.every(({ prop_id }) => prop_id.startsWith("carriers-search"));
        if (triggered.length && isTyped) typing = window.setTimeout(ask, TYPING_MS, text || "", converted || "");
        else if (triggered.length) ask(text || "", converted || "");
      },
    },
  });
})();
