// When the server does not answer: say so, keep asking, and draw the page anew if it missed what it should show.
(function () {
  "use strict";

  const AGAIN_MS = 2000;
  const CALLBACK = "_dash-update-component";
  const GATEWAY = [502, 503]; // what a proxy says in the place of a server that is down
  const DRAWS = /page\.children|signals-grid\.rowData|carriers-grid\.getRowsResponse|proof-badge\.children/;
  const WORDS =
    "The server does not answer. What you did last may not have reached it; this page goes on by itself when it is back.";

  const send = window.fetch.bind(window);
  let banner = null;
  let isStale = false; // an answer that draws was lost
  let isLeaving = false;
  window.addEventListener("pagehide", () => { isLeaving = true; });

  function say(address) {
    if (banner || isLeaving) return;
    banner = document.createElement("div");
    banner.className = "offline";
    banner.setAttribute("role", "alert");
    banner.textContent = WORDS;
    document.body.append(banner);
    window.setTimeout(ask, AGAIN_MS, `${address.split(CALLBACK)[0]}healthz`);
  }

  async function ask(health) {
    const answer = await send(health, { cache: "no-store" }).catch(() => null);
    if (!answer || !answer.ok) window.setTimeout(ask, AGAIN_MS, health);
    else if (isStale) window.location.reload();
    else {
      banner.remove();
      banner = null;
    }
  }

  window.fetch = async (resource, options) => {
    const address = String(resource.url || resource);
    if (!address.includes(CALLBACK)) return send(resource, options);
    const answer = await send(resource, options).catch((refused) => refused);
    const isLost = answer instanceof Error ? answer.name !== "AbortError" : GATEWAY.includes(answer.status);
    if (isLost) {
      isStale = isStale || DRAWS.test(String(options && options.body));
      say(address);
    }
    if (answer instanceof Error) throw answer;
    return answer;
  };
})();
