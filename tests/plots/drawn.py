"""What a picture shows, by the label of its legend."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection


def points(axes: Axes, label: str) -> np.ndarray:
    (found,) = [c for c in axes.collections if isinstance(c, PathCollection) and c.get_label() == label]
    return np.asarray(found.get_offsets(), dtype=float)


def line(axes: Axes, label: str) -> np.ndarray:
    (found,) = [each for each in axes.lines if each.get_label() == label]
    return np.asarray(found.get_xydata(), dtype=float)
