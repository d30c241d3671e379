// The frame: links without page loads, the marks of the navigation, the menu of narrow screens, arrival, toasts.
(function () {
  "use strict";

  const TOAST_MS = 6000;
  const base = () => JSON.parse(document.getElementById("_dash-config").textContent).requests_pathname_prefix;

  // ---- links ------------------------------------------------------------------------------------------------
  // Every plain <a href> into the app navigates in place, wherever it was drawn (page, sidebar, grid cell).
  function inApp(link) {
    if (!link || link.target || link.hasAttribute("download")) return false;
    const url = new URL(link.href, window.location.href);
    const served = url.pathname.startsWith(base()) && !/^(_dash-|assets\/|download\/)/.test(url.pathname.slice(base().length));
    const jump = url.hash && url.pathname === window.location.pathname && url.search === window.location.search;
    return url.origin === window.location.origin && served && !jump;
  }

  function go(href) {
    const { pathname, search, hash } = new URL(href, window.location.href);
    window.dash_clientside.set_props("url", { pathname, search, hash });
  }

  document.addEventListener("click", (event) => {
    const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
    const link = event.target.closest && event.target.closest("a[href]");
    if (event.defaultPrevented || !plain || !inApp(link)) return;
    event.preventDefault();
    go(link.href);
  });

  // ---- theme buttons ----------------------------------------------------------------------------------------
  function markTheme() {
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === window.betonTheme.choice()));
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("[data-theme-choice]");
    if (button) window.betonTheme.choose(button.dataset.themeChoice);
  });
  window.addEventListener("beton-theme", markTheme);

  // ---- keyboard ---------------------------------------------------------------------------------------------
  const menuOpen = () => document.querySelector('.shell[data-menu="open"]');

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menuOpen()) return;
    const toggle = document.querySelector(".nav-toggle");
    toggle.click();
    toggle.focus();
  });

  // Tell assistive technology which help and error belong to a field, at the moment it is entered.
  document.addEventListener("focusin", (event) => {
    const field = event.target.closest && event.target.closest(".field");
    if (!field) return;
    const notes = [...field.querySelectorAll(".field-help, .field-error")].filter((note) => note.textContent);
    event.target.setAttribute("aria-describedby", notes.map((note) => note.id).join(" "));
    event.target.setAttribute("aria-invalid", String(notes.some((note) => note.className === "field-error")));
  });

  // A resting form drops the focus of the button that started the work; give it back when the form wakes.
  let last = null;
  document.addEventListener("focusin", (event) => { last = event.target; });
  document.addEventListener("focusout", (event) => { if (!event.target.matches(":disabled")) last = null; });
  new MutationObserver((changes) => {
    const woke = changes.some(({ target }) => target.matches(".page-form") && !target.disabled);
    if (woke && last && last.isConnected && document.activeElement === document.body) last.focus();
  }).observe(document, { subtree: true, attributes: true, attributeFilter: ["disabled"] });

  // ---- toasts -----------------------------------------------------------------------------------------------
  function element(tag, className, text) {
    const made = document.createElement(tag);
    made.className = className;
    if (text) made.textContent = text;
    return made;
  }

  function drawToast({ title, text, kind }) {
    const toast = element("div", "b-toast");
    toast.dataset.kind = kind;
    const words = element("div", "b-toast-words");
    words.append(element("strong", "", title), element("div", "", text));
    const close = element("button", "btn btn-ghost btn-icon");
    close.type = "button";
    close.setAttribute("aria-label", "Dismiss");
    close.append(element("span", "icon icon-close"));
    close.addEventListener("click", () => toast.remove());
    toast.append(element("span", "b-toast-dot"), words, close);
    document.getElementById("shell-toasts").append(toast);
    if (kind === "error") return; // stays until read
    let timer = window.setTimeout(() => toast.remove(), TOAST_MS);
    toast.addEventListener("mouseenter", () => window.clearTimeout(timer));
    toast.addEventListener("mouseleave", () => { timer = window.setTimeout(() => toast.remove(), TOAST_MS); });
  }

  // ---- called by Dash ---------------------------------------------------------------------------------------
  let arrivals = 0;

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    shell: {
      markCurrent(pathname, hrefs) {
        markTheme();
        const home = base();
        // The discovery runs belong to the signals that they found.
        const at = /^runs(\/|$)/.test(pathname.slice(home.length)) ? `${home}signals/` : pathname;
        const here = (href) => at === href || `${at}/` === href || (href !== home && at.startsWith(href + "/"));
        return hrefs.map((href) => (here(href) ? "page" : "false"));
      },

      toggleMenu(_clicks, _pathname, state) {
        const byButton = window.dash_clientside.callback_context.triggered_id === "nav-toggle";
        const open = byButton && state !== "open";
        return [open ? "open" : "closed", String(open)];
      },

      // A new page: name the tab, start at the top, and hand the keyboard to its heading.
      arrive(page) {
        const title = page && page.props && page.props["data-title"];
        if (!title) return;
        document.title = `${title} · Beton`;
        if (arrivals++ === 0) return;
        window.requestAnimationFrame(() => {
          window.scrollTo(0, 0);
          const heading = document.querySelector(".page h1");
          if (heading) heading.focus({ preventScroll: true });
        });
      },

      showToast(message) {
        if (message) drawToast(message);
      },
    },
  });
})();
