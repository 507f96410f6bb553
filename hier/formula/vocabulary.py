"""The words of formulas: which functions there are, what each takes, and what to write in place of one that is not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

# Each function of a column, with its value for a constant (None: has no meaning for a constant).
ALLOWED: dict[str, Callable[..., Any] | None] = {
    "I": lambda x: x,
    "abs": abs,
    "acos": math.acos,
    "as.Date": None,
    "as.numeric": float,
    "asin": math.asin,
    "atan": math.atan,
    "ave": None,
    "between": None,
    "bs": None,
    "ceiling": math.ceil,
    "center": None,
    "cos": math.cos,
    "cr": None,
    "cut": None,
    "exp": math.exp,
    "expm1": math.expm1,
    "floor": math.floor,
    "ifelse": lambda test, yes, no: yes if test else no,
    "log": math.log,
    "log10": math.log10,
    "log1p": math.log1p,
    "log2": math.log2,
    "ns": None,
    "paste0": None,
    "plogis": lambda x: 1 / (1 + math.exp(-x)),
    "pmax": max,
    "pmin": min,
    "poly": None,
    "qlogis": lambda x: math.log(x / (1 - x)),
    "rcs": None,
    "round": None,
    "scale": None,
    "sin": math.sin,
    "sqrt": math.sqrt,
    "standardize": None,
    "tan": math.tan,
    "tanh": math.tanh,
    "within": None,
}

# How many expressions a function begins with, at least and at most, where that is not one.
MANY = 50
EXPRESSIONS: dict[str, tuple[int, int]] = {
    "ave": (2, MANY),
    "between": (2, MANY),
    "ifelse": (3, 3),
    "paste0": (1, MANY),
    "pmax": (2, MANY),
    "pmin": (2, MANY),
    "within": (2, MANY),
}

# What the expressions must be, the last for all that follow, where that is not numbers: "any" numbers or text, "text"
# labels, "group" the labels of groups, "same" what the call itself must be.
ROLES: dict[str, tuple[str, ...]] = {
    "I": ("same",),
    "as.Date": ("text",),
    "as.numeric": ("any",),
    "ave": ("number", "group"),
    "between": ("number", "group"),
    "ifelse": ("any",),
    "paste0": ("text",),
    "within": ("number", "group"),
}
QUOTED = frozenset({"as.Date", "ifelse", "paste0"})  # may take quoted text among their expressions

# What may follow the column, in R's order, and what each must be.
OPTIONS: dict[str, dict[str, str]] = {
    "as.Date": {"format": "text"},
    "bs": {"df": "whole", "knots": "numbers", "degree": "whole", "intercept": "flag"},
    "cr": {"df": "whole", "knots": "numbers"},
    "cut": {
        "breaks": "bounds",
        "labels": "names",
        "include.lowest": "flag",
        "right": "flag",
        "ordered_result": "flag",
    },
    "log": {"base": "number"},
    "ns": {"df": "whole", "knots": "numbers", "intercept": "flag"},
    "poly": {"degree": "whole", "raw": "flag"},
    "rcs": {"knots": "numbers"},
    "round": {"digits": "number"},
    "scale": {"center": "flag", "scale": "flag"},
    "standardize": {"center": "flag", "rescale": "flag"},
}
FLAGS = {"TRUE": True, "True": True, "T": True, "FALSE": False, "False": False, "F": False}
LOGICAL = {name: int(value) for name, value in FLAGS.items() if len(name) > 1}  # constants inside an expression
MAX_WHOLE = 100  # degrees, and degrees of freedom
CONSTANTS = {"pi": math.pi}  # unless a column has the name
EXPECTED = {
    "whole": "a whole number from 1 up",
    "number": "a number",
    "numbers": "a number, or several as c(1, 2)",
    "bounds": "a number of intervals, or bounds as c(0, 10, Inf)",
    "flag": "TRUE or FALSE",
    "names": 'labels as c("low", "high"), or FALSE for the numbers of the intervals',
    "text": "quoted text",
}

# Functions that make a factor of a column; the outermost calls of a variable only.
CATEGORICAL = frozenset({"C", "as.factor", "as.ordered", "factor", "ordered"})

COVARIANCE_TAGS = frozenset({"us", "cs", "diag", "ar1", "ou", "toep", "hetar1", "homcs", "mat", "gau", "rr", "propto"})

# structures as other programs write them -> what stands for them here
ELSEWHERE = {
    "cosy": "cs(0 + f | g)",
    "corCompSymm": "cs(0 + f | g)",
    "unstr": "us(0 + f | g)",
    "corSymm": "us(0 + f | g)",
    "ar": "ar1(0 + f | g)",
    "corAR1": "ar1(0 + f | g)",
    "arma": "ar1(0 + f | g)",
}

NOT_YET = (
    COVARIANCE_TAGS
    | {"Surv", "cat", "cens", "gp", "gr", "log_offset", "mi", "mm", "mo", "mvbind", "s", "se"}
    | {"t2", "te", "ti", "trunc", "weights"}
)

_BEFORE = "compute the column in the data before fitting"
_CENTRED = "write `center(x)` or `scale(x)` for deviations from the mean, `ave(x, g)` for means of groups"

# functions of R that stay outside -> what to write instead
INSTEAD: dict[str, str] = {
    **dict.fromkeys(("mean", "sd", "median", "var", "sum", "max", "min"), _CENTRED),
    **dict.fromkeys(("s", "t2", "te", "ti", "cc", "gp"), "write `ns(x, df = 4)` or `bs(x, df = 5)` for a smooth curve"),
    **dict.fromkeys(("as.character", "droplevels"), "write `factor(x)`"),
    **dict.fromkeys(("is.na", "coalesce"), "rows with missing values are left out; " + _BEFORE),
    **dict.fromkeys(("lag", "lead", "diff", "cumsum", "rank", "substr", "seq", "quantile", "rowMeans"), _BEFORE),
    **dict.fromkeys(("as.integer", "trunc"), "write `as.numeric(x)` or `floor(x)`"),
    **dict.fromkeys(("case_when", "switch", "recode"), "write `ifelse(x > 1, a, b)`, one inside another"),
    **dict.fromkeys(("as.POSIXct", "ymd", "difftime", "julian"), "write `as.Date(x)`; differences of dates are days"),
    **dict.fromkeys(
        ("SSfpl", "SSlogis", "SSasymp", "SSmicmen", "SSgompertz", "SSfol"),
        "curves that are not linear in their parameters: take `ns(x, df = 4)`, or a function of x as log(x)",
    ),
    "interaction": "write `a:b`",
    "mo": "write `ordered(x)`",
    "paste": 'write `paste0(a, " ", b)`',
    "relevel": 'write `C(f, contr.treatment("base"))`',
    "Surv": "the times of events need a model of their own; " + _BEFORE,
    "year": _BEFORE,
}
