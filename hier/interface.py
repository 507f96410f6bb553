"""The public face: models and comparisons with the verbs that later rooms give them.

Rooms import one way only, so a `Model` cannot itself know of estimates and posteriors, nor a `Comparison` of plots.
This module, which comes after all of them, does. Each verb imports its room when it is first called.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hier.model as models
import hier.pooling as pooling
from hier.posterior.posterior import MAX_TREE_DEPTH, TARGET_ACCEPT, WARMUP
from hier.printed import answering

if TYPE_CHECKING:
    from hier.estimate import Estimate
    from hier.posterior import Posterior


# JAX, SciPy and ArviZ leave 200,000 objects for the collector to look through when the process ends, for nothing: half
# a second. Frozen at that moment, they are left to the operating system, and nothing changes while the process runs.
atexit.register(gc.freeze)


class Model(models.Model):
    __doc__ = models.Model.__doc__

    def estimate(self, method: str | None = None, *, nagq: int = 1) -> Estimate:
        """Point estimates: `"reml"` (the default for Normal responses), `"ml"` (for all others), or `"map"`, the mode
        of the posterior.

        `nagq`: points of adaptive Gauss-Hermite quadrature for a response that is not Normal, with one grouping factor;
        1 is Laplace's approximation. Raises FitError where the data cannot identify the variances; a singular fit is a
        value (`is_singular`).
        """
        from hier.estimate import estimate

        return estimate(self, method, nagq)

    def sample(
        self,
        *,
        chains: int = 4,
        draws: int = 1000,
        warmup: int = WARMUP,
        seed: int = 0,
        device: str = "auto",
        progress: bool = True,
        target_accept: float = TARGET_ACCEPT,
        max_tree_depth: int = MAX_TREE_DEPTH,
        integrate: str = "auto",
        method: str = "nuts",
    ) -> Posterior:
        """Draws from the posterior by NUTS: for a Normal response on the exact marginal density, for any other over all
        parameters and deviations.

        Where crossed factors make the marginal density dear, only the deviations of the largest are integrated out:
        `integrate` is "auto", which takes the cheaper way and says which, "all" or "largest".
        `method`: "nuts", or for a fast look "laplace" or "advi": draws of a Normal approximation, whose
        `Posterior.pareto_k` says how far to trust them.

        `warmup`: iterations before the draws are kept. `device`: "cpu", "gpu", or "auto",
        which takes a GPU only where the problem is large enough to gain. The same seed gives the same draws on the
        same machine.
        """
        from hier.posterior.sample import sample

        return sample(
            self,
            chains=chains,
            draws=draws,
            warmup=warmup,
            seed=seed,
            device=device,
            progress=progress,
            target_accept=target_accept,
            max_tree_depth=max_tree_depth,
            integrate=integrate,
            method=method,
        )

    def numpyro_model(self, *, noncentred: bool = True) -> Callable[..., None]:
        """The full NumPyro program, group deviations included, with the same priors: to read, extend or run.

        `noncentred` writes the deviations as a factor times standard Normal variables; False leaves them as they are.
        """
        from hier.posterior.program import numpyro_model

        return numpyro_model(self, noncentred=noncentred)

    def sample_prior(self, draws: int = 1000, seed: int = 0) -> Any:
        """Draws from the prior of all parameters, and of the response, as an ArviZ tree with groups `prior` and
        `prior_predictive`.
        """
        from hier.posterior.program import sample_prior

        return sample_prior(self, draws, seed)

    def with_priors(self, priors: Mapping[str, Any]) -> Model:
        other = super().with_priors(priors)
        assert isinstance(other, Model)
        return other

    with_priors.__doc__ = models.Model.with_priors.__doc__


class Comparison(pooling.Comparison):
    __doc__ = pooling.Comparison.__doc__

    def plot_shrinkage(self, group: str | None = None) -> Any:
        """The picture of `hier.plots.plot_shrinkage`: each level's coefficients under no, partial and complete
        pooling; of the grouping factor `group`, or of the one with the most levels.
        """
        from hier.plots import plot_shrinkage

        return plot_shrinkage(self, group)


@answering
def compare(estimate: Estimate, posterior: Posterior) -> Comparison:
    """Lay an estimate and a posterior of one model side by side: `table`, `shrinkage`, `parameters`.

    Raises ModelError where they are not of the same model on the same data.
    """
    both = pooling.compare(estimate, posterior)
    return Comparison(
        **{name: getattr(both, name) for name in ("estimate", "posterior", "table", "shrinkage", "parameters")}
    )


@answering
def report(comparison: Comparison, path: str | PathLike[str]) -> Path:
    """Write a comparison as one self-contained HTML file with pictures, and return its path."""
    from hier.report import write_report

    return write_report(comparison, path)
