// Tabs for the keyboard: dash-bootstrap-components draws them out of its reach and does not say which one is open. The
// open tab takes part in the order of the page; arrows, Home and End go to the others.
(function () {
  "use strict";

  function mark(list) {
    for (const tab of list.querySelectorAll("[role=tab]")) {
      const open = tab.classList.contains("active");
      if (tab.getAttribute("aria-selected") === String(open)) continue;
      tab.setAttribute("aria-selected", String(open));
      tab.tabIndex = open ? 0 : -1;
    }
  }

  const markAll = () => document.querySelectorAll(".nav-tabs[role=tablist]").forEach(mark);

  new MutationObserver((changes) => {
    const concerns = ({ type, target }) => type === "childList" || target.matches(".nav-tabs [role=tab]");
    if (changes.some(concerns)) markAll();
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["class"] });

  const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };

  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest && event.target.closest(".nav-tabs [role=tab]");
    if (!tab || !(event.key in steps)) return;
    const tabs = [...tab.closest(".nav-tabs").querySelectorAll("[role=tab]")];
    const at = tabs.indexOf(tab) + steps[event.key];
    const next = tabs[Number.isFinite(at) ? (at + tabs.length) % tabs.length : at > 0 ? tabs.length - 1 : 0];
    event.preventDefault();
    next.focus();
    next.click();
  });
})();
