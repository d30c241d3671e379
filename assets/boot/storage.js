// Runs before everything else. Browsers that block storage in a third-party frame throw on the mere mention of
// localStorage, which would leave a blank page; such a page gets a store that lasts as long as it does.
(function () {
  "use strict";

  function memoryStorage() {
    const kept = new Map();
    return {
      getItem: (key) => (kept.has(String(key)) ? kept.get(String(key)) : null),
      setItem: (key, value) => void kept.set(String(key), String(value)),
      removeItem: (key) => void kept.delete(String(key)),
      clear: () => kept.clear(),
      key: (index) => [...kept.keys()][index] ?? null,
      get length() { return kept.size; },
    };
  }

  for (const name of ["localStorage", "sessionStorage"]) {
    try {
      window[name].setItem("beton-probe", "1");
      window[name].removeItem("beton-probe");
    } catch {
      Object.defineProperty(window, name, { value: memoryStorage(), configurable: true });
    }
  }
})();
