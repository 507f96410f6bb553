"""A posterior from its ArviZ tree, and from a file that is checked to be as it was written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hier.design import Block
from hier.errors import JobError
from hier.estimate.tables import correlated_pairs
from hier.files import LONGEST, Given, existing, named, refusal
from hier.posterior.checksums import Damaged, has_checksums
from hier.posterior.grouping import Group
from hier.posterior.level_labels import levels_of
from hier.posterior.posterior import Posterior
from hier.posterior.posterior_draws import Settings, Timing
from hier.posterior.same_model import refuse_other_model
from hier.posterior.tree import ADDED, WHAT
from hier.posterior.variable_names import dims_of, stems

if TYPE_CHECKING:
    import xarray as xr

    from hier.model import Specification

HDF5 = b"\x89HDF\r\n\x1a\n"


def load_posterior(path: Given, model: Specification | None = None) -> Posterior:
    """Read a posterior that `Posterior.save` wrote. `model`: what it was sampled from, which `predict` needs.

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
    import xarray as xr

    path = existing(path, WHAT, hint="check the folder, or sample again")
    try:
        with path.open("rb") as file:
            begins = file.read(len(HDF5))
    except OSError as error:
        raise refusal(f"{WHAT} cannot be read", path, error) from error
    if begins and begins != HDF5:
        raise _foreign(path, "a file that is not netCDF 4")
    try:
        if not has_checksums(path):
            raise _foreign(path, "a netCDF file of another program, or one without hier's checksums")
        with xr.open_datatree(path, engine="h5netcdf") as tree:
            return from_tree(tree.load())
    except Damaged as error:
        raise _damaged(path, str(error)) from error
    except JobError:
        raise
    except Exception as error:  # whatever xarray says of a file whose arrays are whole, and their frame is not
        raise _damaged(path, f"its structure cannot be read: {error}") from error


def _foreign(path: Path, found: str) -> JobError:
    return JobError(
        f"{named(path.name)} is not a posterior that hier wrote",
        where=named(path),
        found=found,
        expected="a file of Posterior.save()",
    )


def _damaged(path: Path, found: str) -> JobError:
    return JobError(
        f"{named(path.name)} is damaged: it is not as Posterior.save() wrote it",
        where=named(path),
        found=found[:LONGEST],
        hint="take a copy from before, or sample again",
    )
