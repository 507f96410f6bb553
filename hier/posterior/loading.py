"""A posterior from its ArviZ tree, and from a file that is checked to be as it was written."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hier.design import Block
from hier.errors import ModelError
from hier.estimate.checked_files import damaged, description_in, foreign, read_tree
from hier.estimate.described_model import model_of_description
from hier.estimate.level_labels import levels_of
from hier.estimate.tables import correlated_pairs
from hier.files import Given
from hier.posterior.grouping import Group
from hier.posterior.posterior import Posterior
from hier.posterior.posterior_draws import Settings, Timing
from hier.posterior.same_model import refuse_other_model
from hier.posterior.tree import ADDED, POSTERIOR
from hier.posterior.variable_names import dims_of, stems

if TYPE_CHECKING:
    import xarray as xr

    from hier.model import Specification


def load_posterior(path: Given, model: Specification | None = None) -> Posterior:
    """Read a posterior that `Posterior.save` wrote. It predicts new data without those of the fit; `model`, built again
    from these, gives it back what needs their rows, such as the log-likelihood.

    Raises JobError where the file is not there or is not one, and where anything in it is not as it was saved: draws
    that were changed, thinned or lost. Raises ModelError for a model other than that of the posterior.
    """
    found = _read(path)
    if model is None:
        return found
    refuse_other_model(
        model,
        found,
        what="the posterior is not of this model on these data",
        expected="the model that was sampled, built again from the same data",
        hint="sample() draws from the posterior of this one",
    )
    return replace(found, model=model)


def from_tree(tree: xr.DataTree) -> Posterior:
    """The posterior that `to_tree` made the tree of, by this version of hier or an earlier one."""
    draws = tree["posterior"].dataset
    attrs = draws.attrs
    later = Settings._field_defaults  # which files of earlier versions do not have
    groups = _groups(tree, json.loads(attrs["groups"]))
    further = {
        str(name): labels if labels is None else tuple(labels) for name, labels in json.loads(attrs["further"]).items()
    }
    (observed,) = tree["observed_data"].dataset.data_vars.values()
    return Posterior(
        formula=str(attrs["formula"]),
        family=str(attrs["family"]),
        response=str(attrs["response"]),
        coef_names=tuple(map(str, draws["coef"].to_numpy())) if "coef" in draws.coords else (),
        groups=groups,
        further=further,
        method=str(attrs["method"]),
        settings=Settings(*(int(attrs.get(name, later.get(name, 0))) for name in Settings._fields)),
        priors=json.loads(attrs["priors"]),
        notes=tuple(json.loads(attrs["notes"])),
        draws=_draws(draws, groups, further),
        stats={str(name): values.to_numpy() for name, values in tree["sample_stats"].dataset.data_vars.items()},
        observed=observed.to_numpy(),
        digest=json.loads(attrs["digest"]),
        index=observed["obs"].to_numpy(),
        timing=Timing(*timing) if (timing := json.loads(attrs.get("timing", "null"))) else None,
        added={name: tree[name].to_dataset() for name in ADDED if name in tree.children},
    )


def _draws(draws: xr.Dataset, groups: tuple[Group, ...], further: Iterable[str]) -> dict[str, np.ndarray]:
    """The draws by variable, what others have added left out. Earlier versions kept whole correlation matrices, of
    which the pairs are taken.
    """
    known = {"beta", *further, *(name for group in groups for name in group.variables)}
    found = {str(name): values.to_numpy() for name, values in draws.data_vars.items() if name in known}
    for group in groups:
        whole = found.get(group.variables.cor)
        if whole is not None and whole.ndim == 4:
            i, j = np.array(correlated_pairs(group.blocks)).T
            found[group.variables.cor] = whole[..., i, j]
    return found


def _groups(tree: xr.DataTree, described: list[Any]) -> tuple[Group, ...]:
    """The grouping factors from their names, blocks and levels that are written out, and from what the tree has."""
    draws, constant = tree["posterior"].dataset, tree["constant_data"].dataset
    found = []
    for (name, blocks, levels), stem in zip(described, stems([name for name, *_ in described]), strict=True):
        by_level, by_coef, _ = dims_of(stem)
        found.append(
            Group(
                name=str(name),
                levels=levels_of(levels, draws[by_level].to_numpy()),
                names=tuple(map(str, draws[by_coef].to_numpy())),
                blocks=tuple(
                    Block(int(size), str(kind), bool(one), *(tuple(map(int, places)) for places in more))
                    for size, kind, one, *more in blocks  # files of earlier versions have no places
                ),
                codes=constant[f"{stem}_codes"].to_numpy(),
                stem=stem,
            )
        )
    return tuple(found)


def _read(path: Given) -> Posterior:
    path, tree = read_tree(path, POSTERIOR)
    kept = description_in(tree, path, POSTERIOR)
    if isinstance(kept, dict) and kept["kind"] != "posterior":
        raise foreign(path, "an estimate, which hier.load_estimate reads", POSTERIOR)
    try:
        found = from_tree(tree)
    except Exception as error:  # of arrays that are whole, and do not go together
        raise damaged(path, f"its structure cannot be read: {error}", POSTERIOR) from error
    if kept is None:
        return found
    with contextlib.suppress(ModelError):  # a family of the user's own that is not registered
        return replace(found, model=model_of_description(kept["model"]))
    return found
