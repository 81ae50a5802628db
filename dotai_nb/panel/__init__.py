"""The panel: the only place that knows ipywidgets."""
