"""Families of response distributions: one record each in one table."""

from __future__ import annotations

from dataclasses import dataclass

from hier.errors import ModelError, did_you_mean


@dataclass(frozen=True)
class Family:
    """A distribution of the response given the linear predictor.

    `name` as users write it, `links` the links it can have with the default first, `parameters` the names of what it
    has beside the mean.
    """

    name: str
    links: tuple[str, ...]
    parameters: tuple[str, ...]


FAMILIES = {family.name: family for family in (Family("gaussian", ("identity",), ("sigma",)),)}


def find_family(name: str, link: str | None = None) -> Family:
    """The family of that name; ModelError for a family or a link that hier does not have."""
    if name not in FAMILIES:
        raise ModelError(
            f"there is no family `{name}`",
            expected=", ".join(f"`{known}`" for known in FAMILIES),
            hint=did_you_mean(str(name), FAMILIES),
        )
    family = FAMILIES[name]
    if link is not None and link not in family.links:
        raise ModelError(
            f"the family `{name}` has no link `{link}`", expected=", ".join(f"`{known}`" for known in family.links)
        )
    return family
