"""The cost of hier's likelihood search by rows and by groups, in a process of its own.

The last line of the output is a JSON object with the seconds of the pass over the rows, of one evaluation (the value,
the gradient and the Hessian) and of the whole fit from the cross-products, once compiled, and the fit's Newton steps.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.simulated import SLOPES, slopes

EVALUATIONS = 20  # in a row, since one alone takes a millisecond or less


def problem_of(model: Any) -> Any:
    """The pass over the rows; what touches the kernel stands in this function and the next alone."""
    from hier.model.problem import likelihood_problem

    return likelihood_problem(model)


def fit_of(model: Any) -> Callable[[Any], Any]:
    """The search for REML estimates as a function of a problem, begun where a fit begins it."""
    from hier.kernel.normal.point_fit import fit_likelihood
    from hier.kernel.search.moments import start_of

    terms = model.terms
    return lambda problem: fit_likelihood(start_of(problem.first, terms), problem.cross, terms, reml=True)


def evaluations_of(model: Any, problem: Any) -> Callable[[], Any]:
    """What a search does at each of its points, near the first of them, `EVALUATIONS` times in one program as there:
    called one by one, each would ask the system for its memory anew.
    """
    import jax

    from hier.kernel.normal.point_fit import likelihood_evaluator
    from hier.kernel.programs.precision import float64
    from hier.kernel.search.moments import start_of

    terms = model.terms
    first = start_of(problem.first, terms)[0]
    points = first + 1e-3 * np.random.default_rng(1).normal(size=(EVALUATIONS, len(first)))
    program = jax.jit(lambda points, cross: jax.lax.map(likelihood_evaluator(cross, terms, reml=True), points))
    cross = float64(jax.device_put)(problem.cross)

    @float64
    def evaluate() -> None:
        np.asarray(program(points, cross)[0])

    return evaluate


def seconds(work: Callable[[], Any]) -> float:
    """The time that `work` takes."""
    clock = time.perf_counter()
    work()
    return time.perf_counter() - clock


def main() -> None:
    """Measure one size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--groups", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    import hier

    model = hier.Model(SLOPES, slopes(options.rows, options.groups))
    fit, problem = fit_of(model), problem_of(model)
    evaluate = evaluations_of(model, problem)
    evaluate()
    steps = int(fit(problem).steps)
    taken: dict[str, list[float]] = {"pass_s": [], "evaluation_s": [], "fit_s": []}
    for _ in range(options.rounds):
        taken["pass_s"].append(seconds(lambda: problem_of(model)))
        taken["evaluation_s"].append(seconds(evaluate) / EVALUATIONS)
        taken["fit_s"].append(seconds(lambda: fit(problem)))
    print(json.dumps(taken | {"steps": steps}))


if __name__ == "__main__":
    main()
