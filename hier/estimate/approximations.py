"""By what approximation fixed effects are tested: an entry in a table for each, by the name that a user gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from hier.errors import FitError
from hier.estimate.fitted import Fitted
from hier.estimate.kenward_roger import kenward_roger
from hier.estimate.satterthwaite import FTest, Satterthwaite
from hier.settings import as_given, nearest_choice


class DdfMethod(Protocol):
    """A covariance of the fixed effects, by a basis of them, and degrees of freedom for what is tested with it."""

    @property
    def basis(self) -> np.ndarray: ...

    @property
    def basis_vcov(self) -> np.ndarray: ...

    def df(self, rows: np.ndarray) -> np.ndarray:
        """Degrees of freedom (k,) of t-tests of linear functions (k, p)."""
        ...

    def f_test(self, rows: np.ndarray, values: np.ndarray) -> FTest:
        """The F-test that all linear functions (k, p), estimated as `values` (k,), are zero."""
        ...


def satterthwaite(estimate: Fitted) -> Satterthwaite:
    """Satterthwaite's approximation for a fit by any method."""
    arrays = estimate.arrays
    return Satterthwaite(arrays.basis, arrays.basis_vcov, arrays.vcov_jacobian, arrays.curvature)


BY_NAME: dict[str, Callable[[Fitted], DdfMethod]] = {
    "satterthwaite": satterthwaite,
    "kenward-roger": kenward_roger,
}
TITLES = {"satterthwaite": "Satterthwaite's method", "kenward-roger": "Kenward and Roger's method"}
ASYMPTOTIC = "infinitely many degrees of freedom"


def title(estimate: Fitted, ddf: str) -> str:
    """By which method tests have their degrees of freedom, which only exact Normal models have."""
    return TITLES[ddf.lower()] if estimate.model.is_linear_normal else ASYMPTOTIC


def find_approximation(estimate: Fitted, ddf: str) -> DdfMethod:
    """The approximation of that name, which lmerTest writes with capitals. Raises FitError for another name, and where
    the fit does not allow it.
    """
    make = BY_NAME.get(ddf.lower()) if isinstance(ddf, str) else None
    if make is None:
        raise FitError(
            f"there is no method {as_given(ddf)} for degrees of freedom",
            expected=", ".join(f'"{name}"' for name in BY_NAME),
            hint=nearest_choice(ddf, BY_NAME),
        )
    return make(estimate)
