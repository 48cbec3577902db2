"""What the explorers know and do, without a display: traitlets and frames, no ipywidgets."""
