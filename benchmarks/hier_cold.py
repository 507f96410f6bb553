"""One whole user's program in a fresh process: import, estimate, sample, print both summaries.

The last line of the output is a JSON object with the seconds of each step; the process that started this one takes
the time of the whole, interpreter start included.
"""

import json
import time

from benchmarks.peers.protocol import arguments


def main() -> None:
    """Run the program, each step under the clock."""
    options = arguments()
    clock = [time.perf_counter()]

    def step() -> float:
        clock.append(time.perf_counter())
        return clock[-1] - clock[-2]

    import pandas as pd

    import hier

    _ = hier.Model  # loads what the package otherwise loads on first use
    taken = {"import_s": step()}
    data = pd.read_csv(options.data)
    model = hier.Model(options.formula, data, family=options.family)
    taken["model_s"] = step()
    estimate = model.estimate()
    print(estimate.summary())
    taken["estimate_s"] = step()
    posterior = model.sample(chains=options.chains, draws=options.draws, seed=1, progress=False)
    taken["sample_s"] = step()
    print(posterior.summary())
    taken["summary_s"] = step()
    taken["inside_s"] = clock[-1] - clock[0]
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
