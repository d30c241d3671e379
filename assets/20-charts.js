// Gives every chart the look of the current theme. Figures arrive without colours; plotly gets a template made of the
// CSS variables at the moment it draws, so a chart costs one drawing and no round trip when the theme changes.
(function () {
  "use strict";

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function template() {
    const axis = {
      automargin: true,
      color: css("--b-text-2"),
      gridcolor: css("--b-border"),
      linecolor: css("--b-border"),
      zeroline: false,
      ticks: "",
      ticklabelstandoff: 6,
      title: { standoff: 12, font: { size: 12 } },
    };
    const text = css("--b-text");
    return {
      layout: {
        font: { family: "Geist, system-ui, sans-serif", size: 12, color: css("--b-text-2") },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        colorway: [text, css("--b-chart-2"), css("--b-good"), css("--b-warn"), css("--b-bad")],
        margin: { l: 8, r: 16, t: 16, b: 8, pad: 0 },
        hovermode: "x unified",
        hoverlabel: {
          bgcolor: css("--b-card"),
          bordercolor: css("--b-border"),
          font: { family: "Geist, system-ui, sans-serif", size: 12, color: text },
        },
        legend: { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom" },
        dragmode: false,
        xaxis: { ...axis, showgrid: false },
        yaxis: { ...axis, showgrid: true },
        shapedefaults: { line: { color: css("--b-text-2"), width: 1 } },
      },
      data: {
        bar: [{ marker: { line: { width: 0 }, cornerradius: 4 } }],
        scatter: [{ line: { width: 2 }, marker: { size: 7 } }],
      },
    };
  }

  const themed = (figure) =>
    figure && figure.layout && !figure.layout.template
      ? { ...figure, layout: { ...figure.layout, template: template() } }
      : figure;

  // Dash loads plotly when the first chart appears and then calls Plotly.react(element, figure).
  let plotly;
  Object.defineProperty(window, "Plotly", {
    configurable: true,
    get: () => plotly,
    set(loaded) {
      plotly = { ...loaded, react: (element, figure, ...rest) => loaded.react(element, themed(figure), ...rest) };
    },
  });

  window.addEventListener("beton-theme", () => {
    for (const chart of document.querySelectorAll(".js-plotly-plot")) {
      if (plotly && chart.layout) plotly.relayout(chart, { template: template() });
    }
  });
})();
