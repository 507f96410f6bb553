"""The cost of hier's likelihood search by rows and by groups, in a process of its own.

The last line of the output is a JSON object with the seconds of the pass over the rows, the seconds of the search (once
compiled), and its Newton steps. A step takes the value, the gradient and the Hessian, so seconds a step are the cost of
one evaluation with its derivatives.
"""

import argparse
import json
import time
from typing import Any

from benchmarks.simulated import SLOPES, slopes


def search_of(design: Any) -> Any:
    """The search for REML estimates as a function of a problem; what touches the kernel stands here alone."""
    from hier.kernel.covariance import start
    from hier.kernel.fit import fit_likelihood

    blocks = design.random.blocks
    return lambda problem: fit_likelihood(start(blocks), problem.cross, blocks, reml=True)


def main() -> None:
    """Measure one size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--groups", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    import hier
    from hier.model.problem import likelihood_problem

    design = hier.Model(SLOPES, slopes(options.rows, options.groups)).design
    search = search_of(design)
    taken: dict[str, list[float]] = {"pass_s": [], "search_s": []}
    steps = int(search(likelihood_problem(design)).steps)
    for _ in range(options.rounds):
        clock = time.perf_counter()
        problem = likelihood_problem(design)
        taken["pass_s"].append(time.perf_counter() - clock)
        clock = time.perf_counter()
        search(problem)
        taken["search_s"].append(time.perf_counter() - clock)
    print(json.dumps(taken | {"steps": steps}))


if __name__ == "__main__":
    main()
