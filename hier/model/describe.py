"""What `print(model)` says: the formula written out, the data that enter, the mathematics, and the priors."""

from __future__ import annotations

from hier.design import RandomEffects, bar_anchors
from hier.formula import RandomTerm
from hier.kernel.covariance.structures import in_words
from hier.kernel.covariance.theta import columns_of, n_variance_parameters
from hier.model.equations import as_text
from hier.model.specification import Specification
from hier.text import blocks, shown


def describe_model(model: Specification) -> str:
    """Formula, family, rows, columns, groups with their levels, parameters, the equations, what was left out, where
    dialects of formulas differ, and the priors.
    """
    design = model.design
    n_deviations = sum(random.n_levels * len(random.names) for random in design.random_effects)
    lines = [
        f"{'Hierarchical model' if design.random_effects else 'Model without groups'}: {model.formula}",
        f"Family: {model.family.name}, {_links(model)}",
        f"Rows: {', '.join([str(design.nobs), *trials_and_weights(model)])}",
        f"Fixed effects: {', '.join(design.names) or 'none'}",
    ]
    if model.family.has_cutpoints and design.categories is not None:
        lines.append(f"Categories: {' < '.join(map(str, design.categories))}, with {design.n_cutpoints} cutpoints")
    lines += [f"Columns of {own.name}: {', '.join(own.names)}" for own in design.parameters if own.has_formula]
    for random in design.random_effects:
        lines += [f"Random effects: {' | '.join(blocks_in_words(random))}", f"Groups: {_levels(random)}"]
    lines += [
        f"Parameters: {_n_parameters(model)}, and {n_deviations} group deviations",
        f"Likelihood: {_likelihood(model)}",
        *(f"Note: {note}" for note in _notes(model)),
        "Model:",
        *(f"  {line}" for line in as_text(model)),
        "Priors (for the posterior and MAP):",
    ]
    priors = [(shown(name), words) for name, words in model.priors.rows()]
    width = max(len(name) for name, _ in priors)
    return blocks([[*lines, *(f"  {name:<{width}} ~ {words}" for name, words in priors)]])


def _notes(model: Specification) -> list[str]:
    """What was done with the data, what they do not tell, where dialects differ, and what the priors refer to."""
    flat = [own.sentence for own in model.undetermined]
    return [*model.design.notes(), *flat, *dialects(model), *of_priors(model)]


def _n_parameters(model: Specification) -> int:
    """Fixed effects, cutpoints, standard deviations, correlations, and further parameters or their coefficients."""
    design = model.design
    spreads = n_variance_parameters(tuple(random.blocks for random in design.random_effects)) - 1  # without sigma
    return len(design.names) + design.n_cutpoints + spreads + sum(len(own.names) for own in design.parameters)


def _likelihood(model: Specification) -> str:
    """By what route the deviations are integrated out."""
    if not model.is_linear_normal and not model.design.random_effects:
        return "exact, without group deviations"
    if not model.is_linear_normal:
        return "Laplace's approximation for estimates; NUTS over all deviations for the posterior"
    random = model.design.random_effects
    if not random:
        return "in closed form, without group deviations"
    sizes = [own.n_levels * len(own.names) for own in random]
    return model.structure.in_words([own.group for own in random], sizes)


def _links(model: Specification) -> str:
    """`log link`, and the links of further parameters that have a formula."""
    links = zip(model.design.parameters, model.likelihood.links[1:], strict=True)
    return ", ".join([f"{model.link} link", *(f"{own.name}: {link.name}" for own, link in links if own.has_formula)])


def trials_and_weights(model: Specification) -> list[str]:
    """`5 to 20 trials in each`, and `precision weights from 0.5 to 2`, those of them that the rows have."""
    weights, trials = model.design.weights, model.design.trials
    said = []
    if trials is not None:
        low, high = trials.min(), trials.max()
        said.append(f"{low:g} trials in each" if low == high else f"{low:g} to {high:g} trials in each")
    if weights is not None:
        kind = "precision weights" if model.family.precision else "weights"
        said.append(f"{kind} from {weights.min():g} to {weights.max():g}")
    return said


def blocks_in_words(random: RandomEffects) -> list[str]:
    """The columns of each block, and the structure of their covariance where it is not the usual one."""
    found = []
    for block, (start, stop) in zip(random.blocks, columns_of(random.blocks), strict=True):
        words = in_words(block)
        found.append(", ".join(random.names[start:stop]) + (f" ({words})" if words else ""))
    return found


def _levels(random: RandomEffects) -> str:
    """`id, 48 levels, 9 rows in each`, and the first few levels."""
    rows = random.rows_per_level
    per_level = f"{rows.min()}" if rows.min() == rows.max() else f"{rows.min()} to {rows.max()}"
    some = ", ".join(map(str, random.levels[:4])) + (", ..." if random.n_levels > 4 else "")
    return f"{random.group}, {random.n_levels} levels ({some}), {per_level} rows in each"


def of_priors(model: Specification) -> list[str]:
    """Of which coefficients and deviations the priors are, where that is not plain."""
    if not model.centred:
        return ["priors are those of the columns as written (centred=False), so they depend on where these are zero"]
    said, priors = [], model.priors
    if any(own.moved for own in priors.groups):
        groups = ", ".join(f"`{own.group}`" for own in priors.groups if own.moved)
        said.append(
            f"priors of the sds and correlations of {groups} are those of the deviations at the means of the columns, "
            "wherever these are counted from; what is reported is for the columns as written"
        )
    for random in model.design.random_effects:
        for term, own in zip(bars_of(model, random), bar_anchors(random), strict=True):
            if not own.moved and own.level.any() and not own.level.all():
                said.append(
                    f"priors of `{term}` are those of its columns as written, where the others are zero: its structure "
                    "ties these columns, and depends on where they are counted from"
                )
    return said


def bars_of(model: Specification, random: RandomEffects) -> list[RandomTerm]:
    """The bars of a grouping factor, in the order of its columns."""
    return [term for term in model.formula.random if frozenset(term.factors) == frozenset(random.factors)]


def dialects(model: Specification) -> list[str]:
    """Where another program would read this formula, or these weights, otherwise."""
    said = []
    encoders = {encoder.part: encoder for random in model.design.random_effects for encoder in random.encoders}
    bars = [(term, encoders[term.columns]) for term in model.formula.random]
    if any(term.structure == "us" and len(encoder.names) > 1 for term, encoder in bars):
        said.append("`( | )` estimates correlations, as in lme4 and brms; Bambi fits it without them")
    for term, encoder in bars:
        factors = [coding.factor.name for coding in encoder.codings.values() if coding.levels is not None]
        if term.structure == "diag" and not term.homogeneous and factors:
            said.append(
                f"`||` gives each column of the factor `{factors[0]}` a variance of its own and no correlations, as "
                "lme4 2.0 does; lme4 1.x keeps the factor's columns correlated"
            )
    if model.design.weights is not None and model.family.precision:
        said.append(
            "weights are precision weights, as in lme4: the residual variance of a row is sigma^2 / weight; in brms "
            "`weights()` multiplies the log-likelihood"
        )
    elif model.design.weights is not None:
        said.append("weights multiply the log-likelihood of a row, as glmer's prior weights and `weights()` in brms do")
    return said
