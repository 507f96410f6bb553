"""The glmm package: REML with and without Satterthwaite degrees of freedom, and Laplace fits of other families."""

from typing import Any

from benchmarks.peers.protocol import Mode, serve, timed


def library() -> Any:
    """Import what a user imports."""
    import glmm

    return glmm


def modes(glmm: Any, options: Any) -> dict[str, Mode]:
    """`estimate` is the bare fit; `estimate_df` is the default call, whose fit carries the degrees of freedom."""
    import pandas as pd

    data = pd.read_csv(options.data)
    family = {"bernoulli": "binomial"}.get(options.family, options.family)

    def facts(fit: Any) -> dict[str, Any]:
        figures = {"fixef": [float(value) for value in fit.beta], "objective": -2.0 * float(fit.loglik)}
        return figures | ({"sigma": float(fit.dispersion) ** 0.5} if family == "gaussian" else {})

    def facts_df(fit: Any) -> dict[str, Any]:
        return facts(fit) | {"df": [float(value) for value in fit.coef_df]}

    return {
        "estimate": lambda seed: timed(lambda: glmm.fit(data, options.formula, family, satterthwaite=False), facts),
        "estimate_df": lambda seed: timed(lambda: glmm.fit(data, options.formula, family), facts_df),
    }


if __name__ == "__main__":
    serve(library, modes)
