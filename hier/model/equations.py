"""The model written out in mathematics, as text and as LaTeX: one line for the response, one for each random part."""

from __future__ import annotations

from hier.design import Design
from hier.kernel.covariance import columns_of

LONGEST = 8  # columns written out; beyond it a sum stands for them
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{c: "\\" + c for c in "&%$#_{}"},
}


def as_text(design: Design) -> list[str]:
    """Lines of plain text: the linear predictor, the deviations of each grouping factor, and the residuals."""
    p = len(design.names)
    fixed = [_times(f"β{_sub(k)}", name, "[i]") for k, name in enumerate(design.names)]
    sums = fixed if p <= LONGEST else [f"Σ β_k x_k[i] over {p} columns"]
    if design.offset is not None:
        sums.append("offset[i]")
    lines = []
    for letter, random in zip(_letters(design), design.random_effects, strict=True):
        at = f"[{random.group}[i]]"
        if len(random.names) <= LONGEST:
            sums += [_times(f"{letter}{_sub(k)}{at}", name, "[i]") for k, name in enumerate(random.names)]
        else:
            sums.append(f"Σ {letter}_k{at} z_k[i] over {len(random.names)} columns")
        for start, stop in columns_of(random.blocks):
            deviations, spread = f"{letter}{_sub(start)}", f"sd_{random.group}[{random.names[start]}]²"
            if stop - start > 1:
                names = [f"{letter}{_sub(k)}" for k in range(start, stop)]
                deviations = f"({', '.join(names if len(names) <= LONGEST else [names[0], '...', names[-1]])})"
                spread = f"Σ_{random.group} ({stop - start} x {stop - start})"
            lines.append(f"{deviations}[{random.group}] ~ Normal(0, {spread})")
    variance = "σ²" if design.weights is None else "σ² / weight[i]"
    return [f"{design.response}[i] = {' + '.join(sums)} + ε[i]", *lines, f"ε[i] ~ Normal(0, {variance})"]


def as_latex(design: Design) -> str:
    """The same lines as a LaTeX `aligned` environment."""
    p = len(design.names)
    sums = [_latex_times(rf"\beta_{{{k}}}", name) for k, name in enumerate(design.names)]
    if p > LONGEST:
        sums = [rf"\sum_{{k=0}}^{{{p - 1}}} \beta_k x_{{ik}}"]
    if design.offset is not None:
        sums.append(r"\mathrm{offset}_i")
    lines = []
    for letter, random in zip(_letters(design), design.random_effects, strict=True):
        at = rf"{_roman(random.group)}[i]"
        q = len(random.names)
        if q <= LONGEST:
            sums += [_latex_times(rf"{letter}_{{{k},{at}}}", name) for k, name in enumerate(random.names)]
        else:
            sums.append(rf"\sum_{{k=0}}^{{{q - 1}}} {letter}_{{k,{at}}} z_{{ik}}")
        for start, stop in columns_of(random.blocks):
            if stop - start == 1:
                lines.append(rf"{letter}_{{{start},j}} &\sim \mathcal{{N}}(0, \tau_{{{letter}{start}}}^2)")
                continue
            dots = r"\dots, " if stop - start > 2 else ""
            vector = rf"({letter}_{{{start},j}}, {dots}{letter}_{{{stop - 1},j}})^\top"
            lines.append(rf"{vector} &\sim \mathcal{{N}}(0, \Sigma_{{{_roman(random.group)}}})")
    variance = r"\sigma^2" if design.weights is None else r"\sigma^2 / w_i"
    first = rf"{_roman(design.response)}_i &= {' + '.join(sums)} + \varepsilon_i"
    return "\n".join(
        [
            r"\begin{aligned}",
            " \\\\\n".join([first, *lines, rf"\varepsilon_i &\sim \mathcal{{N}}(0, {variance})"]),
            r"\end{aligned}",
        ]
    )


def _letters(design: Design) -> list[str]:
    """A letter for the deviations of each grouping factor."""
    return [chr(ord("b") + k) for k in range(len(design.random_effects))]


def _sub(number: int) -> str:
    return str(number).translate(_SUBSCRIPTS)


def _times(coefficient: str, name: str, index: str) -> str:
    return coefficient if name == "Intercept" else f"{coefficient}·{name}{index}"


def _latex_times(coefficient: str, name: str) -> str:
    return coefficient if name == "Intercept" else rf"{coefficient}\,{_roman(name)}_i"


def _roman(name: str) -> str:
    return r"\mathrm{" + "".join(_ESCAPES.get(c, c) for c in name).replace(" ", r"\ ") + "}"
