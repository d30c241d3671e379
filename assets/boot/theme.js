// Sets the theme before the first paint. Choices: "light", "dark", "system" (the default).
(function () {
  "use strict";

  const KEY = "beton-theme";
  const CHOICES = ["light", "dark", "system"];
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");

  const choice = () => {
    const kept = window.localStorage.getItem(KEY);
    return CHOICES.includes(kept) ? kept : "system";
  };

  function apply() {
    const chosen = choice();
    const dark = chosen === "dark" || (chosen === "system" && prefersDark.matches);
    document.documentElement.setAttribute("data-bs-theme", dark ? "dark" : "light");
    window.dispatchEvent(new Event("beton-theme"));
  }

  window.betonTheme = {
    choice,
    choose(chosen) {
      window.localStorage.setItem(KEY, chosen);
      apply();
    },
  };

  prefersDark.addEventListener("change", apply);
  window.addEventListener("storage", (event) => event.key === KEY && apply());
  apply();
})();
