"""hier under the line protocol, so that it is measured just as its peers are.

Every mode starts from the data frame unless it says otherwise, and reads a number from the result before the clock
stops: work that JAX has only queued is thereby waited for.
"""

import time
from typing import Any

import numpy as np

from benchmarks.ess import largest_rhat, smallest_ess
from benchmarks.peers.protocol import Mode, Timed, serve, timed


def library() -> Any:
    """Import what a user imports, and touch the two names that a user needs."""
    import hier

    _ = hier.Model, hier.load_dataset
    return hier


def estimate_facts(estimate: Any) -> dict[str, Any]:
    """The figures by which the fits of different programs are compared."""
    figures = {"fixef": [float(value) for value in estimate.fixef], "objective": float(estimate.objective)}
    return figures | ({"sigma": float(estimate.sigma)} if estimate.model.has_normal_rows else {})


def facts_df(estimate: Any) -> dict[str, Any]:
    """The same with the degrees of freedom."""
    return estimate_facts(estimate) | {"df": [float(value) for value in estimate.coefficients["df"]]}


def modes(hier: Any, options: Any) -> dict[str, Mode]:
    """`estimate`, `estimate_df`, `bootstrap` (of an estimate), `sample` (the model stands already) and `sample_whole`
    (from the data frame)."""
    import pandas as pd

    data = pd.read_csv(options.data)
    model = hier.Model(options.formula, data, family=options.family)

    def estimate() -> Any:
        found = hier.Model(options.formula, data, family=options.family).estimate()
        np.asarray(found.fixef)
        return found

    def estimate_df() -> Any:
        found = estimate()
        np.asarray(found.coefficients["df"])
        return found

    def bootstrap(seed: int) -> Timed:
        fitted = model.estimate()
        if not hasattr(fitted, "bootstrap"):
            raise NotImplementedError("absent: estimates of this version have no bootstrap()")
        return timed(lambda: fitted.bootstrap(options.refits, seed=seed), lambda _: {"refits": options.refits})

    def sample(seed: int, fresh: bool) -> Timed:
        start = time.perf_counter()
        used = hier.Model(options.formula, data, family=options.family) if fresh else model
        found = used.sample(chains=options.chains, draws=options.draws, seed=seed, progress=False)
        posterior = found.data["posterior"].to_dataset()
        for name in posterior.data_vars:
            np.asarray(posterior[name])
        seconds = time.perf_counter() - start
        ess, where = smallest_ess(posterior)
        fixef = [float(value) for value in posterior["beta"].mean(("chain", "draw"))]
        facts = {"ess": ess, "ess_of": where, "fixef": fixef, "rhat": largest_rhat(posterior)}
        facts["divergences"] = int(found.data["sample_stats"]["diverging"].sum())
        if "sigma" in posterior:
            facts["sigma"] = float(posterior["sigma"].mean())
        return seconds, {"sampling_s": seconds} | facts

    return {
        "estimate": lambda seed: timed(estimate, estimate_facts),
        "estimate_df": lambda seed: timed(estimate_df, facts_df),
        "bootstrap": bootstrap,
        "sample": lambda seed: sample(seed, fresh=False),
        "sample_whole": lambda seed: sample(seed, fresh=True),
    }


if __name__ == "__main__":
    serve(library, modes)
