"""The mixedlm package: `lmer`, `lmer` followed by Satterthwaite degrees of freedom, and a parametric bootstrap."""

from typing import Any

from benchmarks.peers.protocol import Mode, Timed, serve, timed


def library() -> Any:
    """Import what a user imports; naming the functions loads the modules behind them."""
    import mixedlm
    from mixedlm import lmer  # noqa: F401
    from mixedlm.inference import satterthwaite_df  # noqa: F401

    return mixedlm


def modes(mixedlm: Any, options: Any) -> dict[str, Mode]:
    """`estimate` is one call of `lmer`; `estimate_df` adds the degrees of freedom of every fixed effect; `bootstrap`
    refits one `lmer`."""
    import pandas as pd
    from mixedlm.inference import satterthwaite_df

    data = pd.read_csv(options.data)

    def with_df() -> Any:
        fit = mixedlm.lmer(options.formula, data)
        return fit, satterthwaite_df(fit)

    def facts(fit: Any) -> dict[str, Any]:
        figures = {"fixef": [float(value) for value in fit.fixef().values()], "sigma": float(fit.sigma)}
        return figures | {"objective": float(fit.REMLcrit())}

    def facts_df(found: Any) -> dict[str, Any]:
        fit, table = found
        return facts(fit) | {"df": [float(value) for value in table.df]}

    def bootstrap(seed: int) -> Timed:
        fit = mixedlm.lmer(options.formula, data)
        return timed(
            lambda: mixedlm.bootMer(fit, nsim=options.refits, seed=seed),
            lambda found: {"refits": options.refits, "boot_sd": [float(sd) for sd in found.beta_samples.std(axis=0)]},
        )

    return {
        "estimate": lambda seed: timed(lambda: mixedlm.lmer(options.formula, data), facts),
        "estimate_df": lambda seed: timed(with_df, facts_df),
        "bootstrap": bootstrap,
    }


if __name__ == "__main__":
    serve(library, modes)
