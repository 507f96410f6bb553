"""Data in groups simulated from true values: what a fit of them should find again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hier.design import Design, RandomEffects, build_design
from hier.errors import ModelError, did_you_mean
from hier.formula import Formula, ParsedFormula, parse_formula
from hier.kernel.laplace.likelihood import Likelihood, draw_rows
from hier.kernel.laplace.log_densities import Observed
from hier.model.families import Family, drawing, find_family, likelihood_of
from hier.model.specification import refuse_trials
from hier.printed import Printed, answering
from hier.settings import COUNT, SEED, check, refuse_beyond_memory, written
from hier.text import blocks

TRUTH = "truth"  # the key of a table's `attrs`
# responses that a family can have, from which its design is made; what is simulated takes their place
PLACEHOLDERS = {
    "real": lambda n, k: np.linspace(-1.0, 1.0, n),
    "positive": lambda n, k: np.linspace(1.0, 2.0, n),
    "unit": lambda n, k: np.linspace(0.25, 0.75, n),
    "count": lambda n, k: np.arange(n) % 3,
    "binary": lambda n, k: np.arange(n) % 2,
    "successes": lambda n, k: np.arange(n) % 2,
    "ordered": lambda n, k: np.arange(n) % (k + 1),
}


@dataclass(frozen=True, repr=False, eq=False)
class Truth(Printed):
    """The values that a table was simulated from.

    `fixef`: fixed effects by column. `sd`: by grouping factor, the standard deviation of each of its columns, and `cor`
    their correlation matrix. `ranef`, `coef`: by grouping factor, the deviations that were drawn, and each level's own
    coefficients. `parameters`: further parameters of the response's distribution, such as `sigma`.
    """

    formula: str
    family: str
    fixef: pd.Series
    sd: dict[str, pd.Series]
    cor: dict[str, pd.DataFrame]
    ranef: dict[str, pd.DataFrame] = field(repr=False)
    parameters: dict[str, Any]

    @property
    def coef(self) -> dict[str, pd.DataFrame]:
        """Each level's own coefficients: the fixed effects plus the level's deviations."""
        found = {}
        for group, own in self.ranef.items():
            names = list(dict.fromkeys([*self.fixef.index, *own.columns]))
            start = pd.DataFrame([self.fixef.reindex(names).fillna(0.0)] * len(own), index=own.index)
            found[group] = start.add(own.reindex(columns=names).fillna(0.0))
        return found

    def _text(self) -> str:
        lines = [f"True values of {self.formula}, family {self.family}"]
        lines += [f"  {name}: {value:g}" for name, value in self.fixef.items()]
        for group, sds in self.sd.items():
            lines += [f"  sd_{group}[{name}]: {value:g}" for name, value in sds.items()]
        return blocks([[*lines, *(f"  {name}: {value}" for name, value in self.parameters.items())]])


class _Wanted(NamedTuple):
    """The true values as they were given."""

    fixed: Mapping[str, float]
    sd: Any
    cor: Any
    parameters: Mapping[str, Any]


@answering
def simulate_groups(
    formula: str | Formula,
    groups: int | Mapping[str, int],
    rows: int | Sequence[int] = 10,
    *,
    fixed: Mapping[str, float],
    sd: Any = None,
    cor: Any = 0.0,
    family: str | Family = "gaussian",
    link: str | None = None,
    covariates: Mapping[str, Any] | None = None,
    seed: int = 0,
    **parameters: Any,
) -> pd.DataFrame:
    """Simulate data in groups from true values, as a table that `Model` takes with the same formula.

    Parameters
    ----------
    formula : such as `"y ~ x + (x | group)"`, with any terms, structures and grouping factors.
    groups : the number of levels, or a mapping of each grouping column to its own; several columns are crossed, so that
        of `(1 | a/b)` b numbers the levels inside each a. rows : rows in each combination, one number or one for each.
    fixed : fixed effects by column (`"Intercept"`, `"x"`, `"f[T.b]"`); those that are not there are zero.
    sd : standard deviations of the deviations by column, `{"Intercept": 1, "x": 0.5}`; a number is that of all columns;
        with several grouping factors a mapping of each to these. cor : their correlation, as a number or a matrix, or
        by grouping factor.
    family, link : as of `Model`. parameters : further ones of the family, `sigma=2` (1 unless given), `shape=3`,
        `cutpoints=[-1, 1]`; with a formula of its own a mapping of its coefficients, on the scale of its link.
    covariates : by name, n numbers, as many as there are rows in each combination, which are then repeated, or a
        function of a `numpy.random.Generator` and the table of the columns so far; other variables are drawn from the
        standard Normal distribution.

    The truth, with the deviations that were drawn, is the `hier.Truth` in the table's `attrs["truth"]`. The same seed
    gives the same table. Raises ModelError for values that the model does not have, FormulaError and DataError.
    """
    parsed, found = parse_formula(formula, None), find_family(family, link)
    refuse_trials(parsed, found)
    random = np.random.default_rng(check("seed", seed, SEED))
    if "cutpoints" in found.parameter_names or found.response == "ordered":
        parameters.setdefault("cutpoints", [-1.0, 1.0])
    table = _table(parsed, groups, rows, covariates or {}, random)
    n_cutpoints = len(parameters.get("cutpoints", ()))
    response = _response_name(parsed)
    table[response] = PLACEHOLDERS[found.response](len(table), n_cutpoints)
    design = build_design(parsed, table, None, None, "error", found.outcome)
    likelihood = likelihood_of(found, link or found.links[0], design.n_cutpoints)
    wanted = _Wanted(dict(fixed), sd, cor, parameters)
    eta, truth = _predictor(design, found, wanted, random)
    others = _further(design, likelihood, wanted.parameters)
    truth.parameters.update({own.name: parameters.get(own.name, 1.0) for own in design.parameters})
    table[response] = _responses(design, found, likelihood, [eta, *others], (parameters.get("cutpoints", ()), random))
    table.attrs[TRUTH] = truth
    return table


def _response_name(parsed: ParsedFormula) -> str:
    (*names,) = parsed.response.variables
    if len(names) != 1 or parsed.response.text != names[0]:
        raise ModelError(
            "a response is simulated as a column of its own",
            found=f"`{parsed.left}`",
            expected="a name, such as `y`; take its logarithm afterwards",
        )
    return names[0]


def _table(
    parsed: ParsedFormula, groups: Any, rows: Any, covariates: Mapping[str, Any], random: np.random.Generator
) -> pd.DataFrame:
    """The columns of the formula but the response."""
    sizes = _sizes(parsed, groups)
    shape = tuple(sizes.values())
    cells = np.indices(shape).reshape(len(shape), -1) + 1 if shape else np.zeros((0, 1), int)
    whole = isinstance(rows, (int, np.integer)) and not isinstance(rows, bool)
    each = np.full(cells.shape[1], check("rows", rows, COUNT)) if whole else np.asarray(rows)
    if len(each) != cells.shape[1] or each.dtype.kind not in "iu" or (each < 0).any():
        raise ModelError(
            "`rows` is a number of rows, or one for each combination of the groups",
            found=written(rows),
            expected=f"a whole number, or {cells.shape[1]} of them",
        )
    refuse_beyond_memory(f"a table of {int(each.sum())} rows", 10.0 * float(each.sum()), "simulate fewer rows")
    table = pd.DataFrame(index=range(int(each.sum())))
    for name, labels in zip(sizes, cells, strict=True):
        table[name] = np.repeat(labels, each)
    used = [name for factor in (*parsed.right_side(), *parsed.left_side()) for name in factor.variables]
    own = [name for name in dict.fromkeys([*covariates, *used]) if name not in sizes]
    for name in own:
        if name not in parsed.response.variables:
            table[name] = _covariate(name, covariates.get(name), table, (rows if whole else None, random))
    return table


def _sizes(parsed: ParsedFormula, groups: Any) -> dict[str, int]:
    """The number of levels of each grouping column."""
    names = parsed.groups
    if not isinstance(groups, Mapping):
        if len(names) != 1:
            raise ModelError(
                "`groups` says how many levels each grouping column has",
                found=written(groups),
                expected="a mapping of " + (", ".join(f"`{name}`" for name in names) or "no column: {}"),
            )
        groups = {names[0]: groups}
    if missing := [name for name in names if name not in groups]:
        raise ModelError(
            f"`groups` does not say how many levels `{missing[0]}` has", expected=f'groups={{"{missing[0]}": 20}}'
        )
    return {str(name): check("groups", size, COUNT) for name, size in groups.items()}


def _covariate(
    name: str, given: Any, table: pd.DataFrame, how: tuple[int | None, np.random.Generator]
) -> np.ndarray | pd.Series:
    each, random = how
    n = len(table)
    if given is None:
        return random.standard_normal(n)
    values = given(random, table) if callable(given) else given
    values = pd.Series(values).reset_index(drop=True)
    if len(values) == n:
        return values
    if each is not None and len(values) == each:
        return pd.Series(np.tile(values.to_numpy(), n // each))
    raise ModelError(
        f"the covariate `{name}` does not fit the rows",
        found=f"{len(values)} values",
        expected=f"{n}" + ("" if each is None else f", or {each} to be repeated"),
    )


def _predictor(
    design: Design, family: Family, wanted: _Wanted, random: np.random.Generator
) -> tuple[np.ndarray, Truth]:
    """The linear predictor of the mean (n,), with deviations that are drawn, and the truth so far."""
    for name in wanted.fixed:
        _refuse_unknown("fixed", name, design.names)
    beta = np.array([float(wanted.fixed.get(name, 0.0)) for name in design.names])
    eta = design.X @ beta + (0.0 if design.offset is None else design.offset)
    sds, cors, ranef = {}, {}, {}
    for own in design.random_effects:
        sd, cor = _spreads(own, design, wanted)
        factor = sd[:, None] * _root(cor, own.group)
        deviations = random.standard_normal((own.n_levels, len(sd))) @ factor.T
        eta = eta + np.einsum("ij,ij->i", own.Z, deviations[own.codes])
        columns = list(own.names)
        sds[own.group] = pd.Series(sd, index=columns)
        cors[own.group] = pd.DataFrame(cor, index=columns, columns=columns)
        ranef[own.group] = pd.DataFrame(deviations, index=own.levels.rename(own.group), columns=columns)
    fixef = pd.Series(beta, index=list(design.names), name="truth")
    return eta, Truth(str(design.formula), family.name, fixef, sds, cors, ranef, {})


def _spreads(own: RandomEffects, design: Design, wanted: _Wanted) -> tuple[np.ndarray, np.ndarray]:
    """The standard deviations (q,) and correlations (q, q) of a grouping factor's deviations."""
    groups = [random.group for random in design.random_effects]
    sd, cor = (_of_group(given, own.group, groups) for given in (wanted.sd, wanted.cor))
    q = len(own.names)
    if sd is None:
        raise ModelError(
            f"the standard deviations of `{own.group}` are not given", expected=f"sd={dict.fromkeys(own.names, 1.0)}"
        )
    if isinstance(sd, Mapping):
        for name in sd:
            _refuse_unknown("sd", name, own.names)
        sd = [sd.get(name, 0.0) for name in own.names]
    sds = np.broadcast_to(np.asarray(sd, float), (q,)) if np.ndim(sd) < 2 else np.full(q, -1.0)
    if (sds < 0).any():
        raise ModelError(f"the standard deviations of `{own.group}` cannot be these", found=written(sd))
    cors = np.asarray(0.0 if cor is None else cor, float)
    matrix = np.where(np.eye(q) > 0, 1.0, cors) if cors.ndim == 0 else cors
    if matrix.shape != (q, q) or not np.allclose(matrix, matrix.T) or not np.allclose(np.diag(matrix), 1.0):
        raise ModelError(
            f"the correlations of `{own.group}` cannot be these",
            found=written(cor),
            expected=f"a number, or a symmetric matrix of {q} rows with ones on its diagonal",
        )
    return sds, matrix


def _of_group(given: Any, group: str, groups: Sequence[str]) -> Any:
    """What was given for one grouping factor: by its name, `a:b` or `b:a`, or for all of them."""

    def key(name: object) -> frozenset[str]:
        return frozenset(str(name).split(":"))

    known = {key(name) for name in groups}
    if not isinstance(given, Mapping) or not any(key(name) in known for name in given):
        return given
    return {key(name): own for name, own in given.items()}.get(key(group))


def _root(cor: np.ndarray, group: str) -> np.ndarray:
    """A matrix whose product with its transpose is `cor` (q, q)."""
    values, vectors = np.linalg.eigh(cor)
    if values[0] < -1e-10:
        raise ModelError(f"the correlations of `{group}` are those of no distribution", found=f"{cor.tolist()}")
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _further(design: Design, likelihood: Likelihood, given: Mapping[str, Any]) -> list[np.ndarray]:
    """The linear predictors (n,) of the further parameters."""
    known = [own.name for own in design.parameters] + (["cutpoints"] if design.n_cutpoints else [])
    for name in given:
        _refuse_unknown("parameters", name, known)
    found = []
    for own, link in zip(design.parameters, likelihood.links[1:], strict=True):
        value = given.get(own.name, 1.0)
        if isinstance(value, Mapping):
            for name in value:
                _refuse_unknown(own.name, name, own.names)
            coefficients = np.array([float(value.get(name, 0.0)) for name in own.names])
        else:
            with np.errstate(invalid="ignore", divide="ignore"):  # said below
                first = float(link.apply(np.float64(value)))
            coefficients = np.array([first] + [0.0] * (len(own.names) - 1))
        if not np.isfinite(coefficients).all():
            raise ModelError(f"`{own.name}` cannot be {written(value)}", expected="a value inside its range")
        found.append(own.predictor(coefficients))
    return found


def _responses(
    design: Design,
    family: Family,
    likelihood: Likelihood,
    predictors: list[np.ndarray],
    how: tuple[Sequence[float], np.random.Generator],
) -> Any:
    """Responses drawn from the family, as a user's table has them."""
    cutpoints, random = how
    trials = np.ones(design.nobs) if design.trials is None else design.trials
    observed = Observed(design.y, trials, np.asarray(cutpoints, float))
    drawn = draw_rows(drawing(family), likelihood, observed, predictors, int(random.integers(0, 2**31 - 1)))
    return np.asarray(design.as_written(drawn))


def _refuse_unknown(argument: str, name: object, known: Sequence[str]) -> None:
    if name not in known:
        raise ModelError(
            f"`{argument}` has no `{name}` in this model",
            expected=", ".join(f"`{own}`" for own in known) or "nothing",
            hint=did_you_mean(str(name), dict.fromkeys(known)) if known else None,
        )
