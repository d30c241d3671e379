// The history of backtests: its cells, its filters, and the choice of runs to compare.
(function () {
  "use strict";

  const MISSING = "–";
  const WIDE_ONLY = ["lift", "units", "test", "when", "saved", "copy"];
  const WIDE_PX = 700;
  const TYPING_MS = 200;
  const MOST_COMPARED = 3;
  const ALL = "all"; // a choice that leaves everything
  const byId = (id) => document.getElementById(id);
  const element = (...parts) => window.React.createElement(...parts);

  // The grid still speaks when its page is gone.
  function fitRuns({ api }) {
    const grid = byId("history-grid");
    const width = grid ? grid.clientWidth : 0;
    if (width) api.setColumnsVisible(WIDE_ONLY, width >= WIDE_PX);
  }

  let grid = null; // the grid on the page, once it has rows

  // Every choice is read where it is made, so one that came before the rows counts too.
  function isWantedRun({ data }) {
    const chosen = (name) => (byId(`history-${name}`) || { value: "" }).value;
    const is = (value, choice) => choice === "" || choice === ALL || value === choice;
    const words = chosen("search").toLowerCase().split(/\s+/);
    const text = data.find.toLowerCase();
    return (
      is(data.verdict, chosen("verdict")) &&
      is(data.kind, chosen("kind")) &&
      is(data.asked, chosen("asked")) &&
      words.every((word) => text.includes(word))
    );
  }

  function countRuns({ api }) {
    const summary = byId("history-summary");
    if (!summary) return;
    if (grid !== api) {
      grid = api;
      fitRuns({ api });
      window.setTimeout(filter); // a choice may have been made since these rows were filtered
    }
    let loaded = 0;
    api.forEachNode(() => (loaded += 1));
    const shown = api.getDisplayedRowCount();
    const runs = `${loaded.toLocaleString("en-US")} ${loaded === 1 ? "run" : "runs"}`;
    summary.textContent = shown === loaded ? runs : `${shown.toLocaleString("en-US")} of ${runs}`;
    byId("history-clear").hidden = shown === loaded;
  }

  function openRun({ data, event = {}, colDef, column }) {
    const field = (colDef || (column && column.getColDef()) || {}).field;
    if (!data || (event.type === "keydown" && event.key !== "Enter")) return;
    if (event.type === "click" && event.target.closest("a, [col-id='ag-Grid-SelectionColumn']")) return;
    const href = event.type !== "keydown" ? data.href : { copy: data.copy, saved: data.saved_href }[field] || data.href;
    if (event.ctrlKey || event.metaKey) window.open(href, "_blank", "noopener");
    else {
      const { pathname, search } = new URL(href, window.location.href);
      window.dash_clientside.set_props("url", { pathname, search, hash: "" });
    }
  }

  window.dashAgGridFunctions = Object.assign(window.dashAgGridFunctions || {}, { fitRuns, countRuns, openRun, isWantedRun });

  const line = (words) => (words ? element("small", { key: "line" }, words) : null);

  window.dashAgGridComponentFunctions = Object.assign(window.dashAgGridComponentFunctions || {}, {
    RunName: ({ data, value }) =>
      data
        ? element("span", { className: "run-cell" }, [
            element("span", { key: "name" }, [
              element("a", { key: "link", href: data.href, className: "grid-link" }, value),
              data.name_tag ? element("span", { key: "tag", className: "run-tag" }, data.name_tag) : null,
            ]),
            line(data.name_line),
          ])
        : null,
    RunVerdict: ({ data, value }) =>
      data
        ? element("span", { className: "run-cell run-verdict", title: data.verdict_why }, [
            element("span", { key: "pill", className: "pill", "data-status": data.verdict_look }, value),
            line(data.verdict_line),
          ])
        : null,
    RunWhen: ({ data, value }) =>
      data ? element("span", { className: "run-cell", title: data.when_why }, [value, line(data.when_line)]) : null,
    RunSaved: ({ data, value }) => {
      if (!data) return null;
      if (!value) return element("span", { title: "No saved signal has this definition" }, MISSING);
      const link = element("a", { key: "link", href: data.saved_href, className: "grid-link" }, value);
      return element("span", { className: "run-cell" }, [link, line(data.saved_line)]);
    },
    RunCopy: ({ data }) =>
      data
        ? element("a", { href: data.copy, className: "grid-link run-cell", title: `Duplicate and edit “${data.name}”` }, "Duplicate & edit")
        : null,
  });

  let typing = null; // the timer of a pause in typing

  function filter() {
    if (byId("history-grid") && grid && !grid.isDestroyed()) grid.onFilterChanged();
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    history: {
      filter() {
        const { triggered } = window.dash_clientside.callback_context;
        window.clearTimeout(typing);
        const isTyped = triggered.every(({ prop_id }) => prop_id.startsWith("history-search"));
        if (isTyped) typing = window.setTimeout(filter, TYPING_MS);
        else filter();
      },

      clear(clicks) {
        const { no_update } = window.dash_clientside;
        if (!clicks) return [no_update, no_update, no_update, no_update];
        byId("history-search").focus();
        return ["", ALL, ALL, ALL];
      },

      // The address of the comparison, its words, and whether it can be followed.
      choose(rows) {
        const ids = (rows || []).map(({ id }) => id);
        if (ids.length < 2) return [null, "Compare: choose two or three", "true"];
        if (ids.length > MOST_COMPARED) return [null, `Compare: ${ids.length} chosen, three at most`, "true"];
        const query = new URLSearchParams(ids.map((id) => ["run", id]));
        return [`${byId("history-compare").dataset.to}?${query}`, `Compare ${ids.length} runs`, "false"];
      },
    },
  });
})();
