"""Bambi with nutpie: the posterior by NUTS over all group deviations."""

import time
from typing import Any

from benchmarks.ess import largest_rhat, smallest_ess
from benchmarks.peers.protocol import Mode, Timed, serve


def library() -> Any:
    """Import what a user imports, and the sampler that Bambi loads on its first use."""
    import bambi
    import nutpie  # noqa: F401

    return bambi


def modes(bambi: Any, options: Any) -> dict[str, Mode]:
    """`sample` builds, compiles and samples, and says how much of that was sampling alone.

    The sampling time is the one that the sampler itself records in the result: it starts when the compiled model is
    handed over and ends when the draws are back, so neither compilation nor Bambi's own work is in it.
    """
    import pandas as pd

    data = pd.read_csv(options.data)

    def sample(seed: int) -> Timed:
        start = time.perf_counter()
        model = bambi.Model(options.formula, data)
        draws = model.fit(
            draws=options.draws,
            chains=options.chains,
            random_seed=seed,
            inference_method="nutpie",
            progressbar=False,
            quiet=True,
        )
        seconds = time.perf_counter() - start
        posterior = draws["posterior"].to_dataset()
        ess, where = smallest_ess(posterior)
        fixed = [name for name in posterior.data_vars if posterior[name].ndim == 2 and "sigma" not in name]
        return seconds, {
            "sampling_s": float(posterior.attrs["sampling_time"]),
            "ess": ess,
            "ess_of": where,
            "rhat": largest_rhat(posterior),
            "fixef": [float(posterior[name].mean()) for name in fixed],
            "sigma": float(posterior["sigma"].mean()),
        }

    return {"sample": sample}


if __name__ == "__main__":
    serve(library, modes)
