"""Names of parameters: compared as terms and not as text, and told apart where a column is called as a parameter is.

`I(year^2)` and `I(year ** 2)` are one term, as are `a:b` and `b:a`. A column called `sigma` has the coefficient
`beta[sigma]`; the residual standard deviation beside it is `parameter[sigma]`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Sequence

from hier.errors import FormulaError
from hier.formula.factors import make_factor
from hier.formula.syntax import parse

COLUMN, PARAMETER = "beta[{}]", "parameter[{}]"
_INSIDE = re.compile(r"(?:sd_|cor_).*|beta|parameter")  # what stands before brackets that hold a term


def told_apart(columns: Iterable[str], others: Collection[str]) -> list[str]:
    """Names of the coefficients of columns: the columns' own, or as `beta[sigma]` where another parameter has it."""
    return [COLUMN.format(name) if name in others else name for name in columns]


def find(name: str, known: Sequence[str]) -> str | None:
    """The known name that is this one, as text or else as a term; None where none is, or several are."""
    if name in known:
        return name
    own = _key(name)
    same = [other for other in known if _key(other) == own]
    return same[0] if len(same) == 1 else None


@functools.lru_cache(maxsize=4096)
def _key(name: str) -> frozenset[tuple[str, object]]:
    """What makes two names the same: the variables that are multiplied, each with its level or the number of its
    column.
    """
    found: list[tuple[str, object]] = []
    for part in _split(name):
        cut = _label_at(part)
        before, label = part[:cut], part[cut + 1 : -1] if cut < len(part) else None
        within = label is not None and _INSIDE.fullmatch(before.strip())
        found.append((_expression(before), _key(label) if within and label is not None else label))
    return frozenset(found)


def _split(name: str) -> list[str]:
    """The parts between colons that stand in no brackets and no back-quotes."""
    parts, depth, quoted = [""], 0, False
    for char in name:
        quoted ^= char == "`"
        depth += 0 if quoted else (char in "([") - (char in ")]")
        if char == ":" and depth <= 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _label_at(part: str) -> int:
    """Where the brackets at the end of a part begin; its length where it does not end with brackets."""
    if not part.endswith("]"):
        return len(part)
    depth = 0
    for at in range(len(part) - 1, -1, -1):
        depth += (part[at] == "]") - (part[at] == "[")
        if depth == 0:
            return at
    return len(part)


def _expression(text: str) -> str:
    """An expression as it is printed in names, without spaces; what is none keeps its signs."""
    written = f"y ~ {text}"
    try:
        text = make_factor(parse(written)[0].right, written).name
    except FormulaError:  # a column's name with signs in it, or what stands before a bar
        text = text.replace("^", "**")
    return re.sub(r"\s+", "", text)
