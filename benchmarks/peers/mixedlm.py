"""The mixedlm package: `lmer`, and `lmer` followed by Satterthwaite degrees of freedom."""

from typing import Any

from benchmarks.peers.protocol import Mode, serve, timed


def library() -> Any:
    """Import what a user imports; naming the functions loads the modules behind them."""
    import mixedlm
    from mixedlm import lmer  # noqa: F401
    from mixedlm.inference import satterthwaite_df  # noqa: F401

    return mixedlm


def modes(mixedlm: Any, options: Any) -> dict[str, Mode]:
    """`estimate` is one call of `lmer`; `estimate_df` adds the degrees of freedom of every fixed effect."""
    import pandas as pd
    from mixedlm.inference import satterthwaite_df

    data = pd.read_csv(options.data)

    def with_df() -> Any:
        fit = mixedlm.lmer(options.formula, data)
        satterthwaite_df(fit)
        return fit

    def facts(fit: Any) -> dict[str, Any]:
        return {"fixef": [float(value) for value in fit.fixef().values()], "sigma": float(fit.sigma)}

    return {
        "estimate": lambda seed: timed(lambda: mixedlm.lmer(options.formula, data), facts),
        "estimate_df": lambda seed: timed(with_df, facts),
    }


if __name__ == "__main__":
    serve(library, modes)
