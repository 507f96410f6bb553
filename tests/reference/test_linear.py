"""The expansion in parameters that V is linear in, against dense algebra, on the boundary too."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from hier.design import Block
from hier.kernel.covariance.theta import columns_of, n_columns
from hier.kernel.normal.linear import expand_linearly
from hier.kernel.programs.precision import float64
from tests.reference import dense
from tests.reference.test_kernel import data


def directions(block):
    """Changes of a block's covariance, one a parameter."""
    one = np.eye(block.size)
    if block.structure == "diag":
        return [one]
    if block.structure == "cs":
        return [one, 1.0 - one]
    pairs = [(a, b) for a in range(block.size) for b in range(a, block.size)]
    return [np.outer(one[a], one[b]) + (a != b) * np.outer(one[b], one[a]) for a, b in pairs]


def derivatives(terms, blocks, weights):
    """Z dSigma Z' of every parameter in full, and W^-1 as the last."""
    found = []
    for (Z, codes, J), own in zip(terms, blocks, strict=True):
        full = dense.full_Z(Z, codes, J)
        q = n_columns(own)
        for block, (start, stop) in zip(own, columns_of(own), strict=True):
            for change in directions(block):
                whole = np.zeros((q, q))
                whole[start:stop, start:stop] = change
                found.append(full @ np.kron(np.eye(J), whole) @ full.T)
    return [*found, np.diag(1.0 / weights)]


CASES = {
    "one factor": ("one", ((Block(2), Block(1)),)),
    "one correlation": ("one", ((Block(3, "cs", True),),)),
    "one variance": ("one", ((Block(2, "diag", True), Block(1)),)),
    "nested": ("nested", ((Block(1),), (Block(2),))),
    "crossed": ("crossed", ((Block(2),), (Block(1), Block(1)))),
}


@pytest.mark.parametrize("singular", [False, True], ids=["inside", "singular"])
@pytest.mark.parametrize("case", CASES)
@float64
def test_expansion_is_that_of_dense_algebra(case, singular):
    drawn = data(3, CASES[case][1], CASES[case][0])
    if singular:
        theta = drawn.theta.copy()
        theta[-1] = 0.0
        drawn = drawn._replace(theta=theta)
    cross, units = drawn.cross()
    found = expand_linearly(drawn.theta, cross, drawn.blocks)

    # the kernel's columns: an orthonormal basis of X, and those of Z with root mean square 1
    X = drawn.X @ units.basis / units.y
    terms = [
        (own.columns(term.Z), term.codes, term.n_levels) for term, own in zip(drawn.ordered, units.random, strict=True)
    ]
    M = dense.covariance(terms, drawn.factors, 1.0, drawn.weights)
    changes = derivatives(terms, drawn.blocks, drawn.weights)
    pushed = [scipy.linalg.solve(M, change) for change in changes]
    MX = scipy.linalg.solve(M, X)
    twice = np.array([[MX.T @ a @ right @ MX for right in pushed] for a in changes])
    for got, expected in [
        (found.information, X.T @ MX),
        (found.once, np.array([MX.T @ change @ MX for change in changes])),
        (found.twice, 0.5 * (twice + np.swapaxes(twice, 0, 1))),
        (found.traces, np.array([[np.sum(a * b.T) for b in pushed] for a in pushed])),
    ]:
        np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())
