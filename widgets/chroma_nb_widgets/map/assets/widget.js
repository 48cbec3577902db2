// The map as a front end takes it, around whatever plots the points.

import { Store } from "./store.js";
import { MapView } from "./view.js";

export function mapOf(Plot) {
  let store = null;
  return {
    initialize({ model }) {
      store = new Store(model);
      return () => store.close();
    },
    render({ model, el }) {
      const view = new MapView(store, Plot, el, model.get("height"));
      return () => view.remove();
    },
  };
}
