"""Hierarchical models from one formula, fitted twice: REML estimates and the full posterior, laid side by side.

The names below are looked up when they are first used, so that `import hier` costs next to nothing and loads
neither JAX nor NumPyro, ArviZ, matplotlib, formulaic or pandas.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from hier.errors import DataError, FitError, FormulaError, HierError, JobError, ModelError, did_you_mean
from hier.version import __version__

if TYPE_CHECKING:
    from hier.datasets import list_datasets, load_dataset
    from hier.estimate import Estimate, ManyEstimates, estimate_many, load_estimate
    from hier.estimate.simulated_groups import Truth, simulate_groups
    from hier.formula import Formula
    from hier.interface import Comparison, Model, compare, report
    from hier.model import Family, register_family
    from hier.pooling.each_posterior import NoPooling, no_pooling
    from hier.pooling.three import Pooling, pool
    from hier.posterior import CrossValidation, Posterior, compare_models, load_posterior

_HOME = {
    "Model": "hier.interface",
    "Formula": "hier.formula",
    "Family": "hier.model",
    "register_family": "hier.model",
    "compare": "hier.interface",
    "Comparison": "hier.interface",
    "report": "hier.interface",
    "Estimate": "hier.estimate",
    "ManyEstimates": "hier.estimate",
    "estimate_many": "hier.estimate",
    "load_estimate": "hier.estimate",
    "simulate_groups": "hier.estimate.simulated_groups",
    "Truth": "hier.estimate.simulated_groups",
    "no_pooling": "hier.pooling.each_posterior",
    "NoPooling": "hier.pooling.each_posterior",
    "pool": "hier.pooling.three",
    "Pooling": "hier.pooling.three",
    "Posterior": "hier.posterior",
    "load_posterior": "hier.posterior",
    "CrossValidation": "hier.posterior",
    "compare_models": "hier.posterior",
    "load_dataset": "hier.datasets",
    "list_datasets": "hier.datasets",
}

__all__ = [
    "Comparison",
    "CrossValidation",
    "DataError",
    "Estimate",
    "Family",
    "FitError",
    "Formula",
    "FormulaError",
    "HierError",
    "JobError",
    "ManyEstimates",
    "Model",
    "ModelError",
    "NoPooling",
    "Pooling",
    "Posterior",
    "Truth",
    "__version__",
    "compare",
    "compare_models",
    "estimate_many",
    "list_datasets",
    "load_dataset",
    "load_estimate",
    "load_posterior",
    "no_pooling",
    "pool",
    "register_family",
    "report",
    "simulate_groups",
]


def __getattr__(name: str) -> Any:
    """The public name, from the module where it stands; kept here after the first look-up."""
    if name == "plots":  # used by its name: importing it hangs it on the package
        return importlib.import_module("hier.plots")
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    hint = "" if name.startswith("_") else f"; {did_you_mean(name, __all__)}"
    raise AttributeError(f"module 'hier' has no attribute {name!r}{hint}", name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __reduce_ex__(_protocol: int) -> tuple[Any, ...]:
    """The package is pickled and copied by its name, as modules are imported."""
    return importlib.import_module, (__name__,)
