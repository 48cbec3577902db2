// The map around a plotly figure.

import { PlotlyPlot } from "./plotly_plot.js";
import { Store } from "./store.js";
import { MapView } from "./view.js";

export default () => {
  let store = null;
  return {
    initialize({ model }) {
      store = new Store(model);
      return () => store.close();
    },
    render({ model, el }) {
      const view = new MapView(store, PlotlyPlot, el, model.get("height"));
      return () => view.remove();
    },
  };
};
