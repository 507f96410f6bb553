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


def problem_of(model: Any) -> Any:
    """The pass over the rows; what touches the kernel stands in this function and the next alone."""
    from hier.model.problem import likelihood_problem

    return likelihood_problem(model.design, model.structure)


def search_of(model: Any) -> Any:
    """The search for REML estimates as a function of a problem, begun where a fit begins it."""
    from hier.kernel.fit import fit_likelihood
    from hier.kernel.moments import start_of
    from hier.model.problem import terms_of

    terms = terms_of(model.design, model.structure)
    return lambda problem: fit_likelihood(start_of(problem.first, terms), problem.cross, terms, reml=True)


def main() -> None:
    """Measure one size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--groups", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    import hier

    model = hier.Model(SLOPES, slopes(options.rows, options.groups))
    search = search_of(model)
    taken: dict[str, list[float]] = {"pass_s": [], "search_s": []}
    steps = int(search(problem_of(model)).steps)
    for _ in range(options.rounds):
        clock = time.perf_counter()
        problem = problem_of(model)
        taken["pass_s"].append(time.perf_counter() - clock)
        clock = time.perf_counter()
        search(problem)
        taken["search_s"].append(time.perf_counter() - clock)
    print(json.dumps(taken | {"steps": steps}))


if __name__ == "__main__":
    main()
