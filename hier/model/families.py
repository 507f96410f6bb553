"""Families of response distributions: one record each in one table. A new family is a new record."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from hier.design.response import KINDS, Outcome
from hier.errors import ModelError, did_you_mean
from hier.kernel.laplace import log_densities as densities
from hier.kernel.laplace import responses
from hier.kernel.laplace.likelihood import Likelihood
from hier.kernel.laplace.links import LINKS
from hier.settings import as_given, nearest_choice

if TYPE_CHECKING:
    from numpyro.distributions import Distribution


class FamilyParameter(NamedTuple):
    """One parameter of a response's distribution.

    `links`: those it can have, the default first. `prior`: the default prior where it has no formula, as text
    (`"gamma(2, 0.1)"`) or as an object of `numpyro.distributions`; None: half-Student-t, scaled by the response's
    spread. The first parameter of a family is that of the mean, and needs none.
    """

    name: str
    links: tuple[str, ...] = ("log",)
    prior: str | Distribution | None = None


@dataclass(frozen=True)
class Family:
    """The distribution of a response given its linear predictors.

    `name` as users write it. `parameters`: `FamilyParameter`s, or tuples of their fields, that of the mean (`mu`)
    first. `response`: what values it takes: "real", "positive", "unit" (between 0 and 1), "count", "binary",
    "successes" (out of trials) or "ordered".
    `density(observed, *parameters)`: log density of every row (n,), in JAX: `observed.y` and `observed.trials` (n,),
    `observed.cutpoints` of an ordered response; each parameter has `value`, `log` and, of a probability,
    `log_complement`, all (n,). `mean(observed, *parameters)`: the expected response (n,): a probability for
    bernoulli, a count for binomial, zeros counted for inflation and hurdles, of an
    ordered response the category, counted from 0. `draw(key, observed, *parameters)`: a
    random response. Without them, what needs them is refused.
    `aliases`: other names. `precision`: the parameter, a standard deviation, that the weights of rows divide by their
    square roots; otherwise weights multiply log densities. `response_scale`: "log" where the parameters are those of
    the response's logarithm, otherwise "identity"; default priors are scaled by it. `one_trial`: the family that takes
    its place where each row is one trial. `location_scale`: whether response, mean and `sigma` have one unit, in which
    the density is the same whatever it is: the density of c y at c mu and c sigma is that of y at mu and sigma over c.

    A family with functions of your own can be pickled, for another process say, where these can be imported by name;
    cloudpickle, and so joblib and Dask, takes those without a name too.

    Raises ModelError for a record that does not hold together.
    """

    name: str
    parameters: tuple[FamilyParameter, ...]
    density: Callable[..., Any]
    response: str = "real"
    mean: Callable[..., Any] | None = None
    draw: Callable[..., Any] | None = None
    aliases: tuple[str, ...] = ()
    precision: str | None = None
    response_scale: str = "identity"
    one_trial: str | None = None
    location_scale: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", tuple(_parameter(self.name, given) for given in self.parameters))
        _check(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """A family that comes with hier is pickled and copied by its name, any other by what it was made of."""
        if is_built_in(self):
            return find_family, (self.name,)
        if not _is_any_function_taken():
            _refuse_nameless(self)
        return Family, tuple(getattr(self, field.name) for field in fields(self))

    def __repr__(self) -> str:
        return f"Family({self.name!r}: {', '.join(self.parameter_names)})"

    @property
    def links(self) -> tuple[str, ...]:
        """The links that the mean can have, the default first."""
        return self.parameters[0].links

    @property
    def parameter_names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def has_cutpoints(self) -> bool:
        """Whether the response is ordered, with cutpoints in place of an intercept."""
        return self.response == "ordered"

    @property
    def precision_at(self) -> int | None:
        """The place of the residual standard deviation among the further parameters; None where there is none."""
        names = self.parameter_names[1:]
        return names.index("sigma") if "sigma" in names else None

    @property
    def outcome(self) -> Outcome:
        """What it asks of a design."""
        return Outcome(self.name, self.response, self.parameter_names[1:], self.precision)


def _parameter(family: str, given: Any) -> FamilyParameter:
    try:
        name, links, *prior = FamilyParameter(*((given,) if isinstance(given, str) else given))
    except TypeError as error:
        raise ModelError(
            f"a parameter of the family `{family}` is not described",
            found=repr(given)[:80],
            expected='its name, its links and its default prior, such as ("shape", ("log",), "gamma(2, 0.1)")',
        ) from error
    return FamilyParameter(name, (links,) if isinstance(links, str) else tuple(links), *prior)


def _check(family: Family) -> None:
    """Refuse a record with a part that hier does not know."""
    for what, given, known in [
        ("kind of response", [family.response], KINDS),
        ("link", [link for parameter in family.parameters for link in parameter.links], LINKS),
        ("scale of the response", [family.response_scale], ("identity", "log")),
        ("parameter", [family.precision] if family.precision else [], family.parameter_names),
    ]:
        for name in given:
            if name not in known:
                raise ModelError(
                    f"the family `{family.name}` has an unknown {what} `{name}`",
                    expected=", ".join(f"`{each}`" for each in known),
                    hint=did_you_mean(str(name), known),
                )
    names = family.parameter_names
    if not names or len(set(names)) < len(names) or not all(name.isidentifier() for name in names):
        raise ModelError(
            f"the parameters of the family `{family.name}` need a name each",
            found=", ".join(names) or "none",
            expected="different names, that of the mean first, such as `mu`, `shape`",
        )
    for what, function in (("density", family.density), ("mean", family.mean), ("draw", family.draw)):
        if not callable(function) and (function is not None or what == "density"):
            raise ModelError(f"the {what} of the family `{family.name}` is not a function", found=repr(function)[:80])


def _is_any_function_taken() -> bool:
    """Whether what asks for a family's parts takes functions that have no name to be imported by: `copy` does, and of
    those that pickle cloudpickle and dill.
    """
    frame, takers = sys._getframe(1), {"copy", "cloudpickle", "dill"}
    while frame is not None:
        if takers & {*str(frame.f_globals.get("__name__")).split(".")}:
            return True
        frame = frame.f_back
    return False


def _refuse_nameless(family: Family) -> None:
    """Refuse to pickle a family with a function that cannot be imported by name where it is read."""
    for what in ("density", "mean", "draw"):
        function = getattr(family, what)
        if function is not None and _by_its_name(function) != function:
            raise ModelError(
                f"the {what} of the family `{family.name}` cannot be pickled, so this cannot go to another process",
                found=f"`{getattr(function, '__qualname__', repr(function)[:80])}`, which cannot be imported by name",
                expected="a function that is defined with `def` at the top level of a module",
                hint="move it to a module that both processes import, or pickle with cloudpickle, as joblib does",
            )


def _by_its_name(function: Any) -> Any:
    """What stands under the name of a function in the module that it says it is from; None where nothing does."""
    try:
        return functools.reduce(getattr, function.__qualname__.split("."), sys.modules[function.__module__])
    except (AttributeError, KeyError):
        return None


_REAL = ("identity", "log", "inverse")
_POSITIVE = ("log", "inverse", "identity")
_PROBABILITY = ("logit", "probit", "cloglog", "cauchit")
_COUNT = ("log", "sqrt", "identity")
_SIGMA = FamilyParameter("sigma")
_NU, _SHAPE, _PHI = (FamilyParameter(name, ("log",), "gamma(2, 0.1)") for name in ("nu", "shape", "phi"))
_ZI, _HU = (FamilyParameter(name, ("logit",), "beta(1, 1)") for name in ("zi", "hu"))


def _built_in(
    name: str, links: tuple[str, ...], further: Iterable[FamilyParameter], response: str, mean: Any, **options: Any
) -> Family:
    """The record of a family whose density and draw are named for it."""
    parameters = (FamilyParameter("mu", links), *further)
    density, draw = getattr(densities, name), getattr(responses, f"draw_{name}")
    return Family(name, parameters, density, response, mean, draw, **options)


_BUILT_IN = (
    _built_in(
        "gaussian",
        _REAL,
        [_SIGMA],
        "real",
        responses.mean_mu,
        aliases=("normal",),
        precision="sigma",
        location_scale=True,
    ),
    _built_in("student", _REAL, [_SIGMA, _NU], "real", responses.mean_mu, location_scale=True),
    _built_in("lognormal", ("identity",), [_SIGMA], "positive", responses.mean_lognormal, response_scale="log"),
    _built_in("gamma", _POSITIVE, [_SHAPE], "positive", responses.mean_mu, aliases=("Gamma",)),
    _built_in("inverse_gaussian", _POSITIVE, [_SHAPE], "positive", responses.mean_mu),
    _built_in("bernoulli", _PROBABILITY, [], "binary", responses.mean_mu),
    _built_in("binomial", _PROBABILITY, [], "successes", responses.mean_successes, one_trial="bernoulli"),
    _built_in("beta_binomial", _PROBABILITY, [_PHI], "successes", responses.mean_successes),
    _built_in("poisson", _COUNT, [], "count", responses.mean_mu),
    _built_in("negbinomial", _COUNT, [_SHAPE], "count", responses.mean_mu, aliases=("nbinom2", "negative_binomial")),
    _built_in("nbinom1", _COUNT, [_PHI], "count", responses.mean_mu),
    _built_in("beta", _PROBABILITY, [_PHI], "unit", responses.mean_mu),
    _built_in("cumulative", _PROBABILITY, [], "ordered", responses.mean_category),
    _built_in("zero_inflated_poisson", _COUNT, [_ZI], "count", responses.mean_zero_inflated),
    _built_in("zero_inflated_negbinomial", _COUNT, [_SHAPE, _ZI], "count", responses.mean_zero_inflated),
    _built_in("hurdle_poisson", ("log",), [_HU], "count", responses.mean_hurdle_poisson),
    _built_in("hurdle_negbinomial", ("log",), [_SHAPE, _HU], "count", responses.mean_hurdle_negbinomial),
)
BUILT_IN = frozenset(name for family in _BUILT_IN for name in (family.name, *family.aliases))
FAMILIES: dict[str, Family] = {family.name: family for family in _BUILT_IN}


def _by_any_name() -> Mapping[str, Family]:
    return {name: family for family in FAMILIES.values() for name in (family.name, *family.aliases)}


def is_built_in(family: Family, name: str | None = None) -> bool:
    """Whether a family is one that comes with hier, and the one of that name if there is a name."""
    return family.name in BUILT_IN and family == FAMILIES.get(name or family.name)


def register_family(family: Family) -> Family:
    """Make a family of your own known by its name, as `Model(..., family=name)` takes it, and return it.

    A name that was registered before is replaced; one that comes with hier is not, which raises ModelError.
    """
    if not hasattr(family, "density"):
        raise ModelError("this is not a family", found=repr(family)[:80], expected="a `hier.Family` record")
    for name in (family.name, *family.aliases):
        if name in BUILT_IN:
            raise ModelError(
                f"the family `{name}` comes with hier and cannot be replaced",
                hint=f"give yours a name of its own, such as `my_{name}`",
            )
        if not isinstance(name, str) or not name.isidentifier():
            raise ModelError("a family needs a name", found=repr(name), expected="letters, digits and underscores")
    FAMILIES[family.name] = family
    return family


# what families are called in other programs, where that is not near in spelling
ELSEWHERE = {"ordinal": "cumulative", "clmm": "cumulative", "polr": "cumulative", "logistic": "bernoulli"}


def find_family(name: str | Family, link: str | None = None) -> Family:
    """The family of that name, or the record itself; ModelError for a family or a link that hier does not have."""
    family = _by_any_name().get(name) if isinstance(name, str) else name
    if family is None or not hasattr(family, "density"):
        raise ModelError(
            f"there is no family `{name}`",
            expected=", ".join(f"`{each}`" for each in FAMILIES),
            hint=did_you_mean(ELSEWHERE.get(str(name).lower(), str(name)), _by_any_name()),
        )
    if link is not None and (not isinstance(link, str) or link not in family.links):
        raise ModelError(
            f"the family `{family.name}` has no link {as_given(link)}",
            expected=", ".join(f"`{each}`" for each in family.links),
            hint=nearest_choice(link, family.links),
        )
    return family


def likelihood_of(family: Family, link: str, n_cutpoints: int) -> Likelihood:
    """What the kernel knows of a family with a link for its mean."""
    links = (link, *(parameter.links[0] for parameter in family.parameters[1:]))
    known = tuple(LINKS[name] for name in links)
    return Likelihood(family.name, family.density, known, n_cutpoints, is_kept=is_built_in(family))


def drawing(family: Family) -> Callable[..., Any]:
    """The function that draws responses of a family; ModelError where its record has none."""
    if family.draw is None:
        raise ModelError(
            f"the family `{family.name}` does not say how a response is drawn",
            hint="give its record `draw`, a function of a key, the rows and the parameters",
        )
    return family.draw


def expectation(family: Family) -> Callable[..., Any]:
    """The function that gives a family's expected responses; ModelError where its record has none."""
    if family.mean is None:
        raise ModelError(
            f"the family `{family.name}` does not say what response is expected",
            hint="give its record `mean`, a function of the rows and the parameters",
        )
    return family.mean
