// Draws what layouts/parts/still.py packs: a tree of [tag, attributes, children], as plain elements. React writes text as
// text, so names from the data stay names.
(function () {
  "use strict";

  const grow = (node) =>
    Array.isArray(node) ? window.React.createElement(node[0], node[1], ...node[2].map(grow)) : node;

  window.beton_components = Object.assign({}, window.beton_components, { Still: ({ tree }) => grow(tree) });
})();
