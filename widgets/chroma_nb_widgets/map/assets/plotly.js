// The map around a plotly figure.

import { PlotlyPlot } from "./plotly_plot.js";
import { mapOf } from "./widget.js";

export default () => mapOf(PlotlyPlot);
