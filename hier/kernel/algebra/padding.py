"""Sizes that arrays are rounded up to, so that a second data set of similar size runs a program compiled already.

What is added is empty: a level with zero cross-products adds nothing to any sum, and its deviations stay at their
prior; so does the coefficient of a column of zeros.
"""

from __future__ import annotations

import numpy as np


def padded_size(size: int) -> int:
    """The smallest of 8, 12, 16, 24, 32, 48, 64, ... that holds `size` levels; for what costs time as its size."""
    step = 8
    while step < size:
        if size <= step * 3 // 2:
            return step * 3 // 2
        step *= 2
    return step


def padded_dense_size(size: int) -> int:
    """The smallest multiple of a sixteenth of its magnitude, and of 4, that holds `size` levels; for what costs time
    as the cube of its size.
    """
    step = max(4, 1 << max(0, (size - 1).bit_length() - 5))
    return -(-size // step) * step


def padded_columns(size: int) -> int:
    """The smallest even number that holds `size` fixed-effects columns, of more than eight the smallest multiple of an
    eighth of their magnitude; none for none.
    """
    step = max(2, 1 << max(0, (size - 1).bit_length() - 3))
    return -(-size // step) * step


def filled_up(values: np.ndarray, size: int, filler: float) -> np.ndarray:
    """The array with its last axis filled up to `size`."""
    fill = np.full((*values.shape[:-1], size - values.shape[-1]), filler, values.dtype)
    return np.concatenate([values, fill], axis=-1)


def with_identity(matrix: np.ndarray, before: int = 0, after: int = 0) -> np.ndarray:
    """The block-diagonal matrix of identities of these sizes before and after a square one."""
    size = len(matrix)
    found = np.eye(before + size + after)
    found[before : before + size, before : before + size] = matrix
    return found
