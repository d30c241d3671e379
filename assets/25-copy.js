// Buttons that copy: data-copy names the element whose text is taken, or is "link" for the address of the page.
(function () {
  "use strict";

  // Without the clipboard's own interface (plain http, some frames) a selected text field still copies.
  function copySelected(text) {
    const field = document.createElement("textarea");
    const before = document.activeElement;
    field.value = text;
    field.className = "visually-hidden";
    field.setAttribute("aria-hidden", "true");
    document.body.append(field);
    field.select();
    let done = false;
    try {
      done = document.execCommand("copy");
    } catch (refused) {
      done = false;
    }
    field.remove();
    if (before) before.focus();
    return done;
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch (refused) {
      return copySelected(text);
    }
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest && event.target.closest("[data-copy]");
    if (!button) return;
    const { origin, pathname } = window.location;
    const source = document.getElementById(button.dataset.copy);
    const done = await copy(button.dataset.copy === "link" ? origin + pathname : source.textContent);
    const said = done
      ? { title: "Copied", text: button.dataset.copied, kind: "success" }
      : { title: "That did not work", text: "The browser does not let this page copy; select the text instead.", kind: "error" };
    window.dash_clientside.set_props("store-toast", { data: said });
  });
})();
