"""Formulas of LaTeX, as chat models write them → signs and letters that the rules for numbers know."""

from __future__ import annotations

import re

from cosyrt.text.scripts import has_han

# `$5 and $6` are sums: between the signs of a formula stands something that no sum has.
_FORMULA = re.compile(
    r"\$\$([^$]{1,2000})\$\$|\\\[(.{1,2000}?)\\\]|\\\((.{1,2000}?)\\\)"
    r"|(?<![A-Za-z0-9_$\\])\$((?=[^$\n]*[A-Za-z\\^_=])[^\s$](?:[^$\n]{0,500}[^\s$\\])?)\$(?![A-Za-z0-9_$])",
    re.DOTALL,
)
_SIGNS = {
    "times": "×", "cdot": "×", "ast": "×", "div": "÷", "pm": "±", "mp": "±", "leq": "≤", "le": "≤",
    "geq": "≥", "ge": "≥", "neq": "≠", "ne": "≠", "approx": "≈", "sim": "≈", "equiv": "=", "infty": "∞",
    "pi": "π", "sqrt": "√", "sum": "∑", "int": "∫", "to": "→", "rightarrow": "→", "Rightarrow": "⇒",
    "degree": "°", "circ": "°", "ldots": "…", "dots": "…", "cdots": "…",
}  # fmt: skip
_NAMED = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi "
    "psi omega Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega sin cos tan cot log ln exp lim max min".split()
)
_WRAPPERS = "text|mathrm|mathbf|mathit|mathbb|mathcal|operatorname|boxed|vec|hat|bar"
_WRAPPED = re.compile(rf"\\(?:{_WRAPPERS})\s*\{{([^{{}}]*)\}}")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_ROOT = re.compile(r"\\sqrt\s*\{([^{}]*)\}")
# Commands that only formulas have, for those whose own signs stand on other lines.
_BARE = re.compile(rf"(?<![\w:\\])\\(?:d?frac\{{|sqrt\{{|(?:{'|'.join(_SIGNS)})(?![A-Za-z]))")
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_SPACE = re.compile(r"\\[,;:!> ]|\\\\|&|~")
_GROUP = re.compile(r"([\^_])\{([^{}]*)\}")


def plain_formulas(text: str) -> str:
    """The text with its formulas in plain signs."""
    if "$" not in text and "\\" not in text:
        return text
    is_chinese = has_han(text)
    text = _FORMULA.sub(lambda found: _plain(next(filter(None, found.groups())), is_chinese), text)
    return _plain(text, is_chinese) if _BARE.search(text) else text


def _plain(formula: str, is_chinese: bool) -> str:
    def fraction(found: re.Match[str]) -> str:
        if found[1].isdecimal() and found[2].isdecimal():
            return f" {found[1]}/{found[2]} "
        return f"{found[2]}分之{found[1]}" if is_chinese else f" {found[1]} over {found[2]} "

    before = ""
    while before != formula:  # the innermost braces first
        before = formula
        formula = _ROOT.sub(r"√\1", _FRACTION.sub(fraction, _WRAPPED.sub(r" \1 ", formula)))
    formula = _GROUP.sub(lambda f: f"^{f[2]}" if f[1] == "^" else f" {f[2]}", _SPACE.sub(" ", formula))
    formula = _COMMAND.sub(_command, formula.replace("_", " ")).translate({ord("{"): None, ord("}"): None})
    return " ".join(formula.split())


def _command(found: re.Match[str]) -> str:
    return _SIGNS.get(found[1]) or (f" {found[1].lower()} " if found[1] in _NAMED else " ")
