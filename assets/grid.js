// Named formatters, cells and handlers of AG Grid. They write numbers exactly as layouts/format.py does; a test compares.
(function () {
  "use strict";

  const MISSING = "–", MINUS = "−", INFINITY = "∞";
  const SYMBOLS = { USD: "$", EUR: "€", GBP: "£", JPY: "¥" };

  const grouped = (size, digits) =>
    size.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const whole = (size) => Math.floor(size + 0.5);

  function signed(number, write, plus) {
    if (number === null || number === undefined || Number.isNaN(number)) return MISSING;
    const text = Number.isFinite(number) ? write(Math.abs(number)) : INFINITY;
    const zero = !/[1-9∞]/.test(text);
    return (zero ? "" : number < 0 ? MINUS : plus ? "+" : "") + text;
  }

  function short(size) {
    for (const [unit, letter] of [[1e9, "B"], [1e6, "M"], [1e3, "K"]]) {
      if (size < unit * 0.9995) continue;
      const scaled = size / unit;
      return (scaled < 9.95 ? scaled.toFixed(1) : String(whole(scaled))) + letter;
    }
    return String(whole(size));
  }

  function priced(figure, currency) {
    return SYMBOLS[currency] ? SYMBOLS[currency] + figure : `${currency} ${figure}`;
  }

  function pValue(p) {
    if (p === null || p === undefined || Number.isNaN(p)) return MISSING;
    return p < 0.001 ? "< 0.001" : p.toPrecision(3);
  }

  function percent(rate) {
    if (rate > 0 && rate < 0.0005) return "< 0.1%";
    if (rate > 0.9995 && rate < 1) return "> 99.9%";
    return signed(rate, (size) => `${grouped(100 * size, 1)}%`);
  }

  const ratioDigits = (size) => (size < 0.995 ? 2 : size < 99.95 ? 1 : 0);
  const currencyOf = (params) => (params.context && params.context.currency) || "USD";

  const formats = {
    integer: (params) => signed(params.value, (size) => grouped(whole(size), 0)),
    decimal: (params) => signed(params.value, (size) => grouped(size, 1)),
    percent: (params) => percent(params.value),
    points: (params) => signed(params.value, (size) => `${(100 * size).toFixed(1)} pp`, true),
    lift: (params) => signed(params.value, (size) => `${grouped(size, ratioDigits(size))}x`),
    p: (params) => pValue(params.value),
    money: (params) => signed(params.value, (size) => priced(short(size), currencyOf(params))),
  };

  function openRow(params) {
    const href = params.data && params.data.href;
    const event = params.event || {};
    if (!href || (event.type === "keydown" && event.key !== "Enter")) return;
    if (event.type === "click" && event.target.closest("a")) return; // the link opens itself
    if (event.ctrlKey || event.metaKey) window.open(href, "_blank", "noopener");
    else go(href);
  }

  function go(href) {
    const { pathname, search } = new URL(href, window.location.href);
    window.dash_clientside.set_props("url", { pathname, search, hash: "" });
  }

  // A phone shows what the choice needs: the name, its lift, its evidence. The row's page has the rest.
  const WIDE_ONLY = ["confidence", "held_out", "units", "leads", "arr", "status"];
  const WIDE_PX = 700;

  function fitSignals({ api }) {
    const width = document.getElementById("signals-grid").clientWidth;
    if (width) api.setColumnsVisible(WIDE_ONLY, width >= WIDE_PX);
  }

  const betonTheme = (theme) =>
    theme.withParams({
      fontFamily: "inherit",
      fontSize: 14,
      backgroundColor: "var(--b-card)",
      foregroundColor: "var(--b-text)",
      borderColor: "var(--b-border)",
      headerBackgroundColor: "var(--b-card)",
      headerTextColor: "var(--b-text-2)",
      headerFontWeight: 500,
      headerFontSize: 13,
      rowHoverColor: "var(--b-hover)",
      accentColor: "var(--b-text)",
      wrapperBorderRadius: 12,
      rowHeight: 44,
      headerHeight: 40,
      cellHorizontalPadding: 16,
      columnBorder: false,
      headerColumnResizeHandleColor: "transparent",
      wrapperBorder: true,
    });

  window.dashAgGridFunctions = Object.assign(window.dashAgGridFunctions || {}, { ...formats, openRow, fitSignals, betonTheme });

  // Cells of rows that are still loading have no data.
  window.dashAgGridComponentFunctions = Object.assign(window.dashAgGridComponentFunctions || {}, {
    SignalLink: (params) =>
      params.data ? window.React.createElement("a", { href: params.data.href, className: "grid-link" }, params.value) : null,
    StatusPill: (params) =>
      params.data
        ? window.React.createElement("span", { className: "pill", "data-status": params.value }, statusWords(params.value))
        : null,

    // A figure with its interval below, and the reason for it or for its absence where the pointer rests.
    Figure: (params) => {
      const { data, value, valueFormatted } = params;
      if (!data) return null;
      const field = params.colDef.field;
      const shown = valueFormatted === null || valueFormatted === undefined ? String(value) : valueFormatted;
      return cell("grid-figure", data[`${field}_why`], [
        window.React.createElement("span", { key: "figure" }, shown),
        lineBelow(data[`${field}_line`]),
      ]);
    },

    Rung: (params) => {
      const { data, value } = params;
      if (!data) return null;
      const field = params.colDef.field;
      const why = data[`${field}_why`];
      if (value === null || value === undefined) return cell("", why, MISSING);
      return cell("grid-rung", why, [
        window.React.createElement("span", { key: "level", className: "rung", "data-level": value }, value),
        window.React.createElement("span", { key: "label" }, data[`${field}_line`]),
      ]);
    },
  });

  const cell = (className, why, inside) => window.React.createElement("span", { className, title: why || null }, inside);
  const lineBelow = (words) => (words ? window.React.createElement("small", { key: "line" }, words) : null);

  function statusWords(status) {
    return status ? status[0].toUpperCase() + status.slice(1) : "";
  }

  // ---- the filters of the Signals page and the query of its address ------------------------------------------
  const KEYS = ["status", "lift", "source", "evidence", "thresholds", "q"];
  const TYPING_MS = 200;
  let typing = null; // the timer of a pause in typing
  let own = null; // the query that the controls themselves wrote

  const keepAll = () => KEYS.map(() => window.dash_clientside.no_update);

  function toSearch(values) {
    const query = new URLSearchParams(KEYS.map((key, at) => [key, values[at] || ""]).filter(([, value]) => value));
    return query.size ? `?${query}` : "";
  }

  function fromSearch(search) {
    const query = new URLSearchParams(search);
    return KEYS.map((key) => query.get(key) || "");
  }

  // While a page is left, its controls are still there and the address is already that of the next one.
  const onList = () => /\/signals\/?$/.test(window.location.pathname);

  function rest() {
    window.clearTimeout(typing);
    typing = null;
  }

  // Every choice and every pause in typing is a step that Back takes back. The address itself is left to dcc.Location:
  // replacing it here first makes a freshly loaded page put its old query back.
  function write(search) {
    if (search === window.location.search) return;
    own = search;
    window.dash_clientside.set_props("url", { search });
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    signals: {
      toAddress(...values) {
        rest();
        if (!onList()) return;
        const search = toSearch(values), before = fromSearch(window.location.search);
        if (search === window.location.search) return; // what the address said: Back may already be on its way
        const isTyped = KEYS.every((key, at) => key === "q" || (values[at] || "") === before[at]);
        if (!isTyped) return write(search);
        typing = window.setTimeout(() => {
          typing = null;
          if (onList()) write(search);
        }, TYPING_MS);
      },

      fromAddress(search) {
        // A new page hears its own address once more, and late; by then somebody may have typed.
        if (!onList() || search !== window.location.search || typing !== null) return keepAll();
        const isOwn = search === own;
        own = null;
        if (isOwn) return keepAll();
        return fromSearch(search);
      },

      clear(...clicks) {
        if (!clicks.some(Boolean)) return;
        rest();
        window.dash_clientside.set_props("url", { search: "" });
        document.getElementById("signals-search").focus();
      },

      // A click on a point or on its words opens the signal.
      open(point, words) {
        const { triggered } = window.dash_clientside.callback_context;
        const isPoint = triggered.some(({ prop_id }) => prop_id.endsWith(".clickData"));
        const href = isPoint ? point && point.points[0].customdata : words && words.annotation.name;
        if (href) go(href);
      },
    },
  });
})();
