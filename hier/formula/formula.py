"""A mixed model's formula as a value: a response, fixed effects, and random terms by a grouping factor,
of which there may be none.

Source: lme4's vignette "Fitting Linear Mixed-Effects Models Using lme4", section 2.1; R's `?formula`.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from hier.errors import FormulaError
from hier.formula.bars import RandomTerm, split_bars
from hier.formula.factors import Contrast, Factor, make_factor
from hier.formula.syntax import COMPARISONS, Bar, Binary, Call, Name, Node, Number, Unary, parse, source, strip
from hier.formula.terms import LinearPart, Term, expand
from hier.formula.tokens import MAX_LENGTH
from hier.formula.vocabulary import CONSTANTS

__all__ = [
    "Contrast",
    "Factor",
    "Formula",
    "LinearPart",
    "ParsedFormula",
    "RandomTerm",
    "Term",
    "Trials",
    "parse_formula",
]

# programs whose calls are pasted in place of a formula, after an assignment or the package's name or neither
CALL = re.compile(
    r"\s*(?:[\w.]+\s*(?:<-|=)\s*)?(?:[\w.]+(?:::|\.))?"
    r"(?P<function>lmer|glmer|nlmer|glmmTMB|brm|bf|brmsformula|lme|gls|lm|glm|clmm|gam|gamm4?|stan_g?lmer|Model|mixedlm)\s*\("
)
CBIND, RATIO, TRIALS = "cbind({}, {})", "{} / {}", "{} | trials({})"


@dataclass(frozen=True)
class Trials:
    """What a response of successes is out of.

    `form`: how it is written. `factor`: the number of trials, or with `cbind` the failures; None where `number` says
    it for every row.
    """

    form: str
    factor: Factor | None
    number: int | None = None

    @property
    def text(self) -> str:
        return str(self.number) if self.factor is None else self.factor.text


@dataclass(frozen=True, init=False)
class Formula:
    """A mixed model's formula with formulas for further parameters of the response's distribution beside its mean:
    `hier.Formula("y ~ x + (1 | g)", sigma="~ x")`.

    `hier.Model` takes it in place of text. What can have a formula depends on the family: `sigma`, `shape`, `phi`,
    `nu`, `zi`, `hu`; such a formula has fixed effects only, on the parameter's link scale. `text`: all of them in one,
    as in `y ~ x + (1 | g), sigma ~ x`, which can be written in that form too.

    Raises FormulaError for what cannot be read or is not supported yet.
    """

    text: str

    def __init__(self, formula: str, /, **parameters: str) -> None:
        for given in (formula, *parameters.values()):
            _check_text(given)
        written = {
            name: re.sub(rf"^\s*({re.escape(name)}\b)?\s*~", "", text).strip() for name, text in parameters.items()
        }
        object.__setattr__(self, "text", ", ".join([formula.strip(), *[f"{n} ~ {t}" for n, t in written.items()]]))
        parse(self.text)  # what is no formula is refused here; terms may depend on the table, where `.` stands in them
        if not _asks_columns(self.text):
            parse_formula(self.text)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class ParsedFormula:
    """What is explained, by what, and what varies by group; `text` is the formula as the user wrote it.

    `parameters`: the linear part of each further parameter of the response's distribution that has a formula.
    """

    text: str
    response: Factor
    fixed: LinearPart
    random: tuple[RandomTerm, ...]
    trials: Trials | None = None
    parameters: tuple[tuple[str, LinearPart], ...] = ()

    def terms_key(self) -> tuple[object, ...]:
        """What makes two formulas the same model: everything but the text and the places in it."""
        counts = None if self.trials is None else (self.trials.form, self.trials.text)
        further = tuple(sorted([(name, part.terms_key()) for name, part in self.parameters], key=lambda own: own[0]))
        random = tuple([r.terms_key() for r in self.random])
        return (self.response.text, counts, self.fixed.terms_key(), random, further)

    @property
    def groups(self) -> tuple[str, ...]:
        """The columns whose values or combinations are the levels of a grouping factor, each once."""
        return tuple(dict.fromkeys([name for term in self.random for name in term.factors]))

    def left_side(self) -> Iterator[Factor]:
        """The response, and what it is out of."""
        yield self.response
        if self.trials is not None and self.trials.factor is not None:
            yield self.trials.factor

    def right_side(self) -> Iterator[Factor]:
        """Every variable of the fixed effects, of the columns inside bars, of the offsets, and of the formulas of
        further parameters.
        """
        for part in [self.fixed, *[r.columns for r in self.random], *[part for _, part in self.parameters]]:
            for term in part.terms:
                yield from term.factors
            yield from part.offsets

    @property
    def left(self) -> str:
        """The response as it is printed, with its trials if it has any."""
        if self.trials is None:
            return self.response.text
        return self.trials.form.format(self.response.text, self.trials.text)

    def __str__(self) -> str:
        """The formula in lme4's style with every term written out; it parses to the same terms."""
        own = " + ".join([f"{self.left} ~ {self.fixed}", *[str(r) for r in self.random]])
        return ", ".join([own, *[f"{name} ~ {part}" for name, part in self.parameters]])


def parse_formula(formula: str | Formula, columns: Iterable[Hashable] | None = None) -> ParsedFormula:
    """Read a formula such as `weight ~ week + (week | id)`; `columns` are those of the table, for which `.` stands
    where their names are text.

    Raises `FormulaError`, and nothing else, with a caret under what cannot be read or is not supported yet.
    """
    text = formula.text if isinstance(formula, Formula) else formula
    _check_text(text)
    if columns is None or not _asks_columns(text):
        return _parse(text, None)
    return _parse(text, tuple(name for name in columns if isinstance(name, str)))


def _asks_columns(text: str) -> bool:
    """Whether what a formula means may depend on the table: `.` stands for its other columns, `pi` may be one."""
    return "." in text or any(name in text for name in CONSTANTS)


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise FormulaError("a formula is text", "", (0, 0), found=type(text).__name__)
    call = CALL.match(text)
    if call:
        raise FormulaError(
            f"this is a call of R's or Bambi's `{call['function']}`, not a formula",
            text,
            call.span("function"),
            expected="its first argument alone, such as `y ~ x + (1 | g)`",
            hint="the data, the family and the weights are arguments of hier.Model",
        )


@lru_cache(maxsize=512)
def _parse(text: str, columns: tuple[str, ...] | None) -> ParsedFormula:
    tree, *further = parse(text, columns or ())
    response, trials = _response(tree.left, text)
    rest, random = split_bars(tree.right, text)
    named = {*response.variables, *(name for term in random for name in term.factors)}
    named.update(trials.factor.variables if trials and trials.factor else ())
    others = None if columns is None else [name for name in columns if name not in named]
    fixed = expand(rest, text, tree.right.span if rest is None else rest.span, others)
    for group in dict.fromkeys([frozenset(term.factors) for term in random]):
        _check_columns_once([term for term in random if frozenset(term.factors) == group], text)
    parameters = _parameters(further, text, others)
    formula = ParsedFormula(text, response, fixed, tuple(random), trials, parameters)
    _check_response_apart(formula)
    if len(str(formula)) > MAX_LENGTH:  # so that every formula that is accepted can be printed and read again
        raise FormulaError("the formula stands for too many interactions", text, tree.right.span)
    return formula


def _parameters(trees: list[Binary], text: str, others: list[str] | None) -> tuple[tuple[str, LinearPart], ...]:
    """The formulas of further parameters: a name on the left, fixed effects on the right."""
    found: dict[str, LinearPart] = {}
    for tree in trees:
        name = tree.left
        if not isinstance(name, Name) or not name.text.isidentifier() or keyword.iskeyword(name.text):
            raise FormulaError(
                "a parameter's formula begins with its name", text, name.span, expected="such as `sigma ~ x`"
            )
        if name.text in found:
            raise FormulaError(f"`{name.text}` has two formulas", text, name.span, hint="leave one of them out")
        rest, random = split_bars(tree.right, text)
        if random:
            raise FormulaError(
                f"random effects in the formula of `{name.text}` are not supported yet",
                text,
                tree.right.span,
                expected="fixed effects, such as `sigma ~ x`",
            )
        part = expand(rest, text, tree.right.span if rest is None else rest.span, others)
        if part.offsets:
            raise FormulaError(
                f"an offset in the formula of `{name.text}` is not supported yet", text, part.offsets[0].span
            )
        if not part.intercept and not part.terms:
            raise FormulaError(
                f"the formula of `{name.text}` has no term", text, tree.right.span, hint=f"`{name.text} ~ 1`"
            )
        found[name.text] = part
    return tuple(found.items())


def _response(node: Node, text: str) -> tuple[Factor, Trials | None]:
    """The response: a column, or an allowed function of columns; or successes, with what they are out of."""
    node = strip(node)
    if isinstance(node, Call) and node.function.text == "cbind":
        if len(node.arguments) != 2:
            raise FormulaError("`cbind` takes the successes and the failures", text, node.span)
        successes, failures = node.arguments
        return make_factor(successes, text), Trials(CBIND, make_factor(failures, text))
    if isinstance(node, Bar):
        return _trials(node, text)
    if isinstance(node, Binary) and node.op == "/" and not isinstance(strip(node.right), Number):
        return make_factor(node.left, text), Trials(RATIO, make_factor(node.right, text))
    if isinstance(node, (Name, Call, Unary)) or (isinstance(node, Binary) and node.op in (*COMPARISONS, *"+-*/", "**")):
        return make_factor(node, text), None
    raise FormulaError(
        "the response must be a column or an allowed function of columns",
        text,
        node.span,
        found=source(text, node.span),
    )


def _trials(node: Bar, text: str) -> tuple[Factor, Trials]:
    """`successes | trials(n)`, with a column or a whole number of trials."""
    right = strip(node.right)
    is_trials = isinstance(right, Call) and right.function.text == "trials" and len(right.arguments) == 1
    if not is_trials or not node.correlated:
        raise FormulaError(
            "after the bar of a response stands `trials(n)`",
            text,
            right.span,
            found=source(text, right.span),
            hint="weights are given beside the formula: Model(..., weights=...)",
        )
    amount = strip(right.arguments[0])  # type: ignore[union-attr]
    successes = make_factor(node.left, text)
    if isinstance(amount, Number):
        if amount.value < 1 or amount.value != int(amount.value):
            raise FormulaError("the number of trials must be a whole number from 1 up", text, amount.span)
        return successes, Trials(TRIALS, None, int(amount.value))
    return successes, Trials(TRIALS, make_factor(amount, text))


def _check_columns_once(random: list[RandomTerm], text: str) -> None:
    """Two random terms on one grouping factor must not share a column: its variance would be counted twice."""
    intercept, seen = False, set[frozenset[str]]()
    for part in [term.columns for term in random]:
        if intercept and part.intercept:
            raise FormulaError(
                "the intercept varies in two random terms and would be counted twice",
                text,
                part.span,
                hint=f"begin one of them with 0: `0 + {source(text, part.span)}`"
                if part.terms
                else "leave one of them out",
            )
        for term in part.terms:
            if term.key in seen:
                raise FormulaError(
                    f"`{term.label}` varies in two random terms and would be counted twice", text, term.span
                )
        intercept = intercept or part.intercept
        seen.update([term.key for term in part.terms])


def _check_response_apart(formula: ParsedFormula) -> None:
    """The response must not explain itself: not as a term, a varying column or the grouping factor.

    A change score such as `I(post - pre) ~ pre` stays allowed: there the response is more than one column.
    """
    response = formula.response
    own = response.variables[0] if len(response.variables) == 1 else None
    message = f"the response `{response.name}` cannot stand on the right side as well"
    for factor in formula.right_side():
        if factor.text == response.text or own in factor.variables:
            raise FormulaError(message, formula.text, factor.span)
    for term in formula.random:
        if set(term.factors) & set(response.variables):
            raise FormulaError(message, formula.text, term.group_span)
