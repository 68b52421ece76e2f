"""Isotopes as physics writes them, `¹⁴C`, and single Greek letters: what both languages say for them."""

from __future__ import annotations

import re

ISOTOPE = r"(?<![\w⁰¹²³⁴-⁹])([⁰¹²³⁴-⁹]{1,3})([A-Z][a-z]?)(?![a-z])"
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_ELEMENTS = {
    "H": ("hydrogen", "氢"), "He": ("helium", "氦"), "Li": ("lithium", "锂"), "B": ("boron", "硼"),
    "C": ("carbon", "碳"), "N": ("nitrogen", "氮"), "O": ("oxygen", "氧"), "F": ("fluorine", "氟"),
    "P": ("phosphorus", "磷"), "S": ("sulfur", "硫"), "K": ("potassium", "钾"), "Ca": ("calcium", "钙"),
    "Fe": ("iron", "铁"), "Co": ("cobalt", "钴"), "Sr": ("strontium", "锶"), "Tc": ("technetium", "锝"),
    "I": ("iodine", "碘"), "Xe": ("xenon", "氙"), "Cs": ("caesium", "铯"), "Pb": ("lead", "铅"),
    "Rn": ("radon", "氡"), "Ra": ("radium", "镭"), "Th": ("thorium", "钍"), "U": ("uranium", "铀"),
    "Np": ("neptunium", "镎"), "Pu": ("plutonium", "钚"), "Am": ("americium", "镅"),
}  # fmt: skip
_LETTERS = (
    "α alpha 阿尔法; β beta 贝塔; γ gamma 伽马; δ delta 德尔塔; ε epsilon 艾普西龙; ζ zeta 泽塔; η eta "
    "伊塔; θ theta 西塔; ι iota 约塔; κ kappa 卡帕; λ lambda 兰姆达; ν nu 纽; ξ xi 克西; ο omicron "
    "奥密克戎; π pi 派; ρ rho 柔; σ sigma 西格玛; ς sigma 西格玛; τ tau 套; υ upsilon 宇普西龙; φ phi 斐; ϕ "
    "phi 斐; χ chi 希; ψ psi 普西; ω omega 欧米伽; Γ gamma 伽马; Δ delta 德尔塔; Θ theta 西塔; Λ lambda "
    "兰姆达; Ξ xi 克西; Π pi 派; Σ sigma 西格玛; Φ phi 斐; Ψ psi 普西; Ω omega 欧米伽"
)
_NAMES = {letter: names for letter, *names in map(str.split, _LETTERS.split(";"))}
# One letter, which no Greek word is.
GREEK_LETTER = rf"(?<![\u0370-\u03ff\u1f00-\u1fff])[{''.join(_NAMES)}](?![\u0370-\u03ff\u1f00-\u1fff])"


def isotope(found: re.Match[str], *, chinese: bool) -> str:
    """The element and its number, which later rules read."""
    number, symbol = found[1].translate(_RAISED), found[2]
    if symbol not in _ELEMENTS:
        return f"{symbol} {number}"
    english, han = _ELEMENTS[symbol]
    return f"{han}{number}" if chinese else f"{english} {number}"


def greek(letter: str, *, chinese: bool) -> str:
    """The name of a Greek letter."""
    return _NAMES[letter][chinese]
