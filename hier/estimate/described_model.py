"""A model in a file: how it codes data, its family and the order of its factors, without the rows of the fit."""

from __future__ import annotations

from typing import Any

from hier.design.not_kept import without_rows
from hier.model import Specification
from hier.model.families import find_family


def model_described(model: Specification) -> dict[str, Any]:
    """What is kept of a model. Priors are not: results say theirs, and what is computed anew needs the data."""
    return {
        "design": without_rows(model.design),
        "family": model.family.name,
        "link": model.link,
        "centred": model.centred,
        "digest": model.digest,
        "structure": model.structure if model.design.random_effects else None,
    }


def model_of_description(kept: dict[str, Any]) -> Specification:
    """The model of a description. Raises ModelError for a family of the user's own that is not registered."""
    design, family = kept["design"], find_family(kept["family"], kept["link"])
    found = Specification(design.formula, family, kept["link"], design, kept["centred"], {})
    known = {name: kept[name] for name in ("digest", "structure") if kept[name] is not None}
    vars(found).update(known)  # properties that are computed from the rows when first asked for
    return found
