"""The model written out in mathematics, as text and as LaTeX: the response, each linear predictor, each random part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from hier.design import ParameterDesign, RandomEffects
from hier.kernel.covariance.structures import in_words
from hier.kernel.covariance.theta import columns_of, correlation_blocks
from hier.model.parameter_names import sd_name
from hier.model.specification import Specification
from hier.text import shown

LONGEST = 8  # columns written out; beyond it a sum stands for them
LETTERS = "bcdfghklmpqrstuvw"  # for the deviations of one grouping factor after the other
_GREEK = {"mu": ("μ", r"\mu"), "sigma": ("σ", r"\sigma"), "nu": ("ν", r"\nu"), "phi": ("φ", r"\phi")}
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{c: "\\" + c for c in "&%$#_{}"},
}


class Notation(NamedTuple):
    """How the pieces of a model are written.

    `entry(letter, k, at)`: entry k of a vector, `at` a level or nowhere. `row_level(group)`, `level(group)`: where.
    `in_row(name)`: a column in row i. `sum(letter, at, column, count)`: of the products of two vectors.
    `vector(letter, entries, at)`. `variance(letter, k, sd)`: the square of the standard deviation `sd`, that of entry
    k. `matrix(group, number)`: a covariance matrix, `number` empty where the group has one. `residual`, `weighted`:
    variances of the `noise`. `equal(left, right)`, `normal(left, variance, size, words)`: lines, `words` the structure
    of a covariance.

    Of other than Normal responses: `further`: letters for the coefficients of further parameters. `parameter(name,
    in_row)`. `link(name, of)`. `drawn(left, family, arguments)`: a line. `below(response)`: the probability of a
    category up to k, `from_cutpoint`: what stands before the predictor there. `half_log_weight`: half the logarithm of
    a row's precision weight.
    """

    beta: str
    entry: Callable[[str, int, str], str]
    row_level: Callable[[str], str]
    level: Callable[[str], str]
    in_row: Callable[[str], str]
    dot: str
    sum: Callable[[str, str, str, int], str]
    vector: Callable[[str, Sequence[int], str], str]
    variance: Callable[[str, int, str], str]
    matrix: Callable[[str, str], str]
    offset: str
    noise: str
    residual: str
    weighted: str
    equal: Callable[[str, str], str]
    normal: Callable[[str, str, int, str], str]
    further: tuple[str, ...]
    parameter: Callable[[str, bool], str]
    link: Callable[[str, str], str]
    drawn: Callable[[str, str, Sequence[str]], str]
    below: Callable[[str], str]
    from_cutpoint: str
    half_log_weight: str


def as_text(model: Specification) -> list[str]:
    """Lines of plain text: the response, the linear predictors, and the deviations of each grouping factor."""
    return _lines(model, TEXT)


def as_latex(model: Specification) -> str:
    """The same lines as a LaTeX `aligned` environment."""
    return "\n".join([r"\begin{aligned}", " \\\\\n".join(_lines(model, LATEX)), r"\end{aligned}"])


def _lines(model: Specification, n: Notation) -> list[str]:
    """The response's lines, one for each block of deviations, and the residual's or those of further parameters."""
    design = model.design
    sums, lines = _products(n, n.beta, "", "x", design.names), list[str]()
    if design.offset is not None:
        sums.append(n.offset)
    for position, random in enumerate(design.random_effects):
        letter = LETTERS[position % len(LETTERS)] + "'" * (position // len(LETTERS))
        sums += _products(n, letter, n.row_level(random.group), "z", random.names)
        lines += _deviations(n, letter, random)
    if not model.is_linear_normal:
        return [*_response(model, n, " + ".join(sums)), *lines, *_further(model, n)]
    response = n.equal(n.in_row(design.response), " + ".join([*sums, n.noise]))
    return [response, *lines, n.normal(n.noise, n.residual if design.weights is None else n.weighted, 1, "")]


def _response(model: Specification, n: Notation, predictor: str) -> list[str]:
    """The distribution of the response, and what the linear predictor is equal to."""
    design, left = model.design, n.in_row(model.design.response)
    if model.family.has_cutpoints:
        return [n.equal(n.link(model.link, n.below(left)), f"{n.from_cutpoint}({predictor})")]
    varying = [own.name for own in design.parameters if own.has_formula or own.offset is not None]
    arguments = [n.parameter("mu", True), *[n.parameter(own.name, own.name in varying) for own in design.parameters]]
    if design.trials is not None:
        arguments.insert(0, n.in_row("trials"))
    family = model.family.name.replace("_", "-").title()
    return [n.drawn(left, family, arguments), n.equal(n.link(model.link, n.parameter("mu", True)), predictor)]


def _further(model: Specification, n: Notation) -> list[str]:
    """The linear predictor of each further parameter that has a formula or is weighted."""
    lines = []
    for position, own in enumerate(model.design.parameters):
        if not own.has_formula and own.offset is None:
            continue
        link = model.likelihood.links[position + 1].name
        right = _own_predictor(own, n, link, n.further[position % len(n.further)])
        lines.append(n.equal(n.link(link, n.parameter(own.name, True)), right))
    return lines


def _own_predictor(own: ParameterDesign, n: Notation, link: str, letter: str) -> str:
    terms = (
        _products(n, letter, "", "w", own.names) if own.has_formula else [n.link(link, n.parameter(own.name, False))]
    )
    return " + ".join(terms) + ("" if own.offset is None else f" - {n.half_log_weight}")


def _products(n: Notation, letter: str, at: str, column: str, names: Sequence[str]) -> list[str]:
    """The addends of a linear part: each coefficient times its column."""
    if len(names) > LONGEST:
        return [n.sum(letter, at, column, len(names))]
    both = [(n.entry(letter, k, at), name) for k, name in enumerate(names)]
    return [entry if name == "Intercept" else f"{entry}{n.dot}{n.in_row(name)}" for entry, name in both]


def _deviations(n: Notation, letter: str, random: RandomEffects) -> list[str]:
    """The distribution of each block of a factor's deviations."""
    lines, group, at = [], random.group, n.level(random.group)
    matrices = correlation_blocks(random.blocks)
    for block, (start, stop) in zip(random.blocks, columns_of(random.blocks), strict=True):
        left = n.entry(letter, start, at) if block.size == 1 else n.vector(letter, range(start, stop), at)
        if (start, stop) in matrices:
            number = str(matrices.index((start, stop)) + 1) if len(matrices) > 1 else ""
            spread = n.matrix(group, number)
        elif block.size == 1:
            spread = n.variance(letter, start, sd_name(group, random.names[start]))
        else:
            spread = n.variance(letter, start, sd_name(group, random.bars[start])) + " I"
        lines.append(n.normal(left, spread, block.size, in_words(block)))
    return lines


def _listed(entries: list[str], dots: str) -> str:
    return ", ".join(entries if len(entries) <= LONGEST else [entries[0], dots, entries[-1]])


def _sub(number: int | str) -> str:
    return str(number).translate(_SUBSCRIPTS)


def _text_entry(letter: str, k: int | str, at: str) -> str:
    return f"{letter}{_sub(k)}" + (f"[{at}]" if at else "")


def _text_normal(left: str, variance: str, size: int, words: str) -> str:
    shape = [f"{size} x {size}"] * (size > 1) + [words] * bool(words)
    return f"{left} ~ Normal(0, {variance}{f' ({", ".join(shape)})' if shape else ''})"


TEXT = Notation(
    beta="β",
    entry=_text_entry,
    row_level=lambda group: f"{group}[i]",
    level=lambda group: group,
    in_row=lambda name: f"{name}[i]",
    dot="·",
    sum=lambda letter, at, column, count: f"Σ {_text_entry(letter, '_k', at)} {column}_k[i] over {count} columns",
    vector=lambda letter, entries, at: f"({_listed([_text_entry(letter, k, '') for k in entries], '...')})[{at}]",
    variance=lambda letter, k, sd: f"{sd}²",
    matrix=lambda group, number: f"Σ_{group}{_sub(number)}",
    offset="offset[i]",
    noise="ε[i]",
    residual="σ²",
    weighted="σ² / weight[i]",
    equal=lambda left, right: f"{left} = {right}",
    normal=_text_normal,
    further=("γ", "δ", "κ"),
    parameter=lambda name, in_row: _GREEK.get(name, (name,))[0] + ("[i]" if in_row else ""),
    link=lambda name, of: {"identity": of, "inverse": f"1 / {of}"}.get(name, f"{name}({of})"),
    drawn=lambda left, family, arguments: f"{left} ~ {family}({', '.join(arguments)})",
    below=lambda response: f"P({response} ≤ k)",
    from_cutpoint="cutpoint[k] - ",
    half_log_weight="log(weight[i]) / 2",
)


def _roman(name: str) -> str:
    return r"\mathrm{" + "".join(_ESCAPES.get(c, c) for c in shown(name)).replace(" ", r"\ ") + "}"


def _latex_entry(letter: str, k: int | str, at: str) -> str:
    return f"{letter}_{{{k},{at}}}" if at else f"{letter}_{{{k}}}"


def _latex_sum(letter: str, at: str, column: str, count: int) -> str:
    return rf"\sum_{{k=0}}^{{{count - 1}}} {_latex_entry(letter, 'k', at)} {column}_{{ik}}"


def _latex_normal(left: str, variance: str, size: int, words: str) -> str:
    return rf"{left} &\sim \mathcal{{N}}(0, {variance})" + (rf" \quad \text{{({words})}}" if words else "")


def _latex_link(name: str, of: str) -> str:
    known = {"identity": of, "inverse": f"1 / {of}", "sqrt": rf"\sqrt{{{of}}}", "log": rf"\log({of})"}
    return known.get(name, rf"\mathrm{{{name}}}({of})")


LATEX = Notation(
    beta=r"\beta",
    entry=_latex_entry,
    row_level=lambda group: f"{_roman(group)}[i]",
    level=lambda group: "j",
    in_row=lambda name: f"{_roman(name)}_i",
    dot=r"\,",
    sum=_latex_sum,
    vector=lambda letter, entries, at: rf"({_listed([_latex_entry(letter, k, at) for k in entries], r'\dots')})^\top",
    variance=lambda letter, k, sd: rf"\tau_{{{letter}{k}}}^2",
    matrix=lambda group, number: rf"\Sigma_{{{_roman(group)}{',' if number else ''}{number}}}",
    offset=r"\mathrm{offset}_i",
    noise=r"\varepsilon_i",
    residual=r"\sigma^2",
    weighted=r"\sigma^2 / w_i",
    equal=lambda left, right: f"{left} &= {right}",
    normal=_latex_normal,
    further=(r"\gamma", r"\delta", r"\kappa"),
    parameter=lambda name, in_row: _GREEK.get(name, ("", _roman(name)))[1] + ("_i" if in_row else ""),
    link=_latex_link,
    drawn=lambda left, family, arguments: rf"{left} &\sim \text{{{family}}}({', '.join(arguments)})",
    below=lambda response: rf"P({response} \le k)",
    from_cutpoint="c_k - ",
    half_log_weight=r"\tfrac{1}{2} \log w_i",
)
