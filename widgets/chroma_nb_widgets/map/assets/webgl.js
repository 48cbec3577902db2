// The map that draws its own points.

import { GlPlot } from "./gl.js";
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
      const view = new MapView(store, GlPlot, el, model.get("height"));
      return () => view.remove();
    },
  };
};
