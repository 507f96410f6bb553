"""The model written out in mathematics, as text and as LaTeX: one line for the response, one for each random part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from hier.design import Design, RandomEffects
from hier.kernel.blocks import in_words
from hier.kernel.covariance import columns_of, correlation_blocks

LONGEST = 8  # columns written out; beyond it a sum stands for them
LETTERS = "bcdfghklmpqrstuvw"  # for the deviations of one grouping factor after the other
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


def as_text(design: Design) -> list[str]:
    """Lines of plain text: the linear predictor, the deviations of each grouping factor, and the residuals."""
    return _lines(design, TEXT)


def as_latex(design: Design) -> str:
    """The same lines as a LaTeX `aligned` environment."""
    return "\n".join([r"\begin{aligned}", " \\\\\n".join(_lines(design, LATEX)), r"\end{aligned}"])


def _lines(design: Design, n: Notation) -> list[str]:
    """The response's line, one for each block of deviations, and the residual's."""
    sums, lines = _products(n, n.beta, "", "x", design.names), list[str]()
    if design.offset is not None:
        sums.append(n.offset)
    for position, random in enumerate(design.random_effects):
        letter = LETTERS[position % len(LETTERS)] + "'" * (position // len(LETTERS))
        sums += _products(n, letter, n.row_level(random.group), "z", random.names)
        lines += _deviations(n, letter, random)
    response = n.equal(n.in_row(design.response), " + ".join([*sums, n.noise]))
    return [response, *lines, n.normal(n.noise, n.residual if design.weights is None else n.weighted, 1, "")]


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
            spread = n.variance(letter, start, f"sd_{group}[{random.names[start]}]")
        else:
            spread = n.variance(letter, start, f"sd_{group}[{random.bars[start]}]") + " I"
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
)


def _roman(name: str) -> str:
    return r"\mathrm{" + "".join(_ESCAPES.get(c, c) for c in name).replace(" ", r"\ ") + "}"


def _latex_entry(letter: str, k: int | str, at: str) -> str:
    return f"{letter}_{{{k},{at}}}" if at else f"{letter}_{{{k}}}"


def _latex_sum(letter: str, at: str, column: str, count: int) -> str:
    return rf"\sum_{{k=0}}^{{{count - 1}}} {_latex_entry(letter, 'k', at)} {column}_{{ik}}"


def _latex_normal(left: str, variance: str, size: int, words: str) -> str:
    return rf"{left} &\sim \mathcal{{N}}(0, {variance})" + (rf" \quad \text{{({words})}}" if words else "")


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
)
