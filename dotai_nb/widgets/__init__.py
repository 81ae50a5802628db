"""The panel: the only place that knows ipywidgets.

Widgets are composed, never subclassed (`Widget` owns many plain names). Whatever a person does is
handed to the package's own loop; whatever is painted is painted there, so that a panel streams on
every kernel, also while a cell blocks.
"""
