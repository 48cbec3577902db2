// The map that draws its own points.

import { GlPlot } from "./gl.js";
import { mapOf } from "./widget.js";

export default () => mapOf(GlPlot);
