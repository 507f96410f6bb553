"""One pass over the rows: everything that the likelihood needs to know of the data, in well-conditioned units.

After this pass no computation depends on the number of rows. The fixed-effects columns are replaced by an
orthonormal basis, the response by its least-squares residual, and each random-effects column by a multiple with
root mean square 1; `Units` is the way back. The user never sees these units.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hier.design.rank import triangular_factor
from hier.errors import DataError

EXACT_FIT = 1e-11  # of the response's own length: what is left is rounding
ROWS_PER_BLOCK = 1 << 16  # what is computed of the rows at a time; more where there are more groups than that


class CrossProducts(NamedTuple):
    """Weighted sums of products, by group and in total; groups stand on the last, contiguous axis.

    `q` random-effects columns, `p` fixed-effects columns, `J` groups; column `p` of `[X y]` is the response.
    """

    zz: np.ndarray  # (q, q, J)      Z_j' W Z_j
    zx: np.ndarray  # (q, p + 1, J)  Z_j' W [X y]_j
    xx: np.ndarray  # (p + 1, p + 1) [X y]' W [X y]
    nobs: np.ndarray  # ()           number of rows with a positive weight
    log_weights: np.ndarray  # ()    sum of the logarithms of the weights


class Units(NamedTuple):
    """The way from the kernel's units to the user's: `beta = centre + basis @ beta_kernel`, and so on."""

    centre: np.ndarray  # (p,)    weighted least-squares coefficients
    basis: np.ndarray  # (p, p)   upper triangular: beta = centre + basis @ (beta in the kernel's units)
    z: np.ndarray  # (q,)         a group deviation is y / z times that in the kernel's units
    y: np.ndarray  # ()           sigma is y times that in the kernel's units
    log_det_basis: np.ndarray  # () log of the determinant of `basis`


def group_products(left: np.ndarray, right: np.ndarray, codes: np.ndarray, n_groups: int) -> np.ndarray:
    """left_j' right_j of every group: (n, a) and (n, b) to (a, b, J)."""
    products = np.zeros((left.shape[1], right.shape[1], n_groups))
    add_group_products(products, left, right, codes)
    return products


def add_group_products(sums: np.ndarray, left: np.ndarray, right: np.ndarray, codes: np.ndarray) -> None:
    """Add left_j' right_j of these rows to `sums` (a, b, J)."""
    n_groups = sums.shape[2]
    for i, column in enumerate(left.T):
        for k, other in enumerate(right.T):
            # a matrix with itself is symmetric: half of the sums are known already
            if left is right and k < i:
                sums[i, k] = sums[k, i]
            else:
                sums[i, k] += np.bincount(codes, column * other, n_groups)


def cross_products(
    y: np.ndarray,
    X: np.ndarray,
    Z: np.ndarray,
    codes: np.ndarray,
    n_groups: int,
    weights: np.ndarray | None = None,
) -> tuple[CrossProducts, Units]:
    """Cross-products by group of a model with one grouping factor, in the kernel's units.

    Parameters
    ----------
    y : (n,) response, less its offset. X : (n, p), of full column rank. Z : (n, q) random-effects columns.
    codes : (n,) integers in `[0, n_groups)`. weights : (n,) positive precision weights, or None for 1.

    Raises DataError where the fixed effects leave nothing of the response.
    Source: Bates, Maechler, Bolker and Walker (2015), J. Stat. Softw. 67(1), section 3.4, with the fixed-effects
    columns orthogonalised first.
    """
    n, p = X.shape
    q = Z.shape[1]
    R = triangular_factor(X, y, weights=weights)
    if abs(R[p, p]) <= EXACT_FIT * np.linalg.norm(R[:, p]):
        raise DataError(
            "the fixed effects fit the response exactly, so nothing is left to vary",
            found=f"residuals of {abs(R[p, p]) / np.sqrt(n):.1g} in {n} rows",
            expected="a response with variation of its own",
            hint="check that the response is not computed from the other columns",
        )
    # rows @ to_kernel is the orthonormal basis times sqrt(n), and the residual with root mean square 1
    to_kernel = np.linalg.solve(R, np.eye(p + 1)) * np.sqrt(n)
    to_kernel *= np.sign(np.diag(R))
    y_unit = 1.0 / to_kernel[p, p]
    z_unit = np.sqrt([np.dot(z, z if weights is None else z * weights) / n for z in Z.T])
    z_unit[z_unit == 0.0] = 1.0

    zz, zx = np.zeros((q, q, n_groups)), np.zeros((q, p + 1, n_groups))
    step = max(ROWS_PER_BLOCK, n_groups // 2)
    for start in range(0, n, step):
        at = slice(start, start + step)
        rows, z = np.column_stack([X[at], y[at]]) @ to_kernel, Z[at] / z_unit
        if weights is not None:
            root = np.sqrt(weights[at])[:, None]
            rows, z = rows * root, z * root
        add_group_products(zz, z, z, codes[at])
        add_group_products(zx, z, rows, codes[at])
    cross = CrossProducts(
        zz=zz,
        zx=zx,
        xx=np.eye(p + 1) * n,
        nobs=np.float64(n),
        log_weights=np.float64(0.0 if weights is None else np.log(weights).sum()),
    )
    basis = to_kernel[:p, :p] * y_unit
    units = Units(
        centre=-to_kernel[:p, p] * y_unit,
        basis=basis,
        z=z_unit,
        y=np.float64(y_unit),
        log_det_basis=np.log(np.diag(basis)).sum(),
    )
    return cross, units


def ladder(size: int) -> int:
    """The smallest of 8, 12, 16, 24, 32, 48, 64, ... that holds `size` groups.

    An empty group has zero cross-products: it adds nothing to any sum, and its deviations stay at their prior.
    Shapes are rounded up to it, so that a second data set of similar size runs the program that is compiled already.
    """
    step = 8
    while step < size:
        if size <= step * 3 // 2:
            return step * 3 // 2
        step *= 2
    return step
