"""Whether a posterior is of a model and its data, and the refusal where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hier.design import differences
from hier.errors import ModelError
from hier.posterior.posterior_draws import PosteriorDraws

if TYPE_CHECKING:
    from hier.model import Specification

MOST_NAMED = 5


def refuse_other_model(model: Specification, posterior: PosteriorDraws, *, what: str, expected: str, hint: str) -> None:
    """Refuse a posterior that differs from a model in anything but their priors. Raises ModelError."""
    parts = differences(model.digest, posterior.digest)
    if parts:
        raise ModelError(
            what,
            found=f"`{model.formula}` on {model.design.nobs} rows, and `{posterior.formula}` on "
            f"{len(posterior.observed)} rows, which differ in "
            + ", ".join(parts[:MOST_NAMED])
            + (f" and {len(parts) - MOST_NAMED} more" if len(parts) > MOST_NAMED else ""),
            expected=expected,
            hint=hint,
        )
