"""English abbreviations, where their neighbours prove them, and signs that have a name."""

from __future__ import annotations

from cosyrt.text.rules import rules
from cosyrt.text.sentences import COUNTED_THINGS, STARTERS

_NAME = rf"(?=[A-Z][a-z'’A-Z]|[A-Z]\. |doctor |professor )(?!{STARTERS})"
_TITLES = {
    "Mr": "Mister", "Mrs": "Misses", "Ms": "Miss", "Gen": "general", "Col": "colonel", "Capt": "captain",
    "Sgt": "sergeant", "Lt": "lieutenant", "Gov": "governor", "Sen": "senator", "Rep": "representative",
    "Rev": "reverend", "Hon": "honorable", "Maj": "major", "Cmdr": "commander", "Adm": "admiral",
    "Cpl": "corporal",
    "Pres": "president", "Supt": "superintendent", "Fr": "father", "Mt": "Mount", "Ft": "Fort", "Pt": "Point",
}  # fmt: skip
_TITLE = "|".join(_TITLES)
_NUMBERED = {
    "No": "Number", "no": "number", "Nos": "Numbers", "nos": "numbers", "NO": "Number", "Fig": "figure",
    "fig": "figure",
    "Figs": "figures", "figs": "figures", "Vol": "volume", "vol": "volume", "Vols": "volumes",
    "vols": "volumes", "pp": "pages",
    "Pp": "pages", "p": "page", "P": "page", "Ch": "chapter", "ch": "chapter", "Sec": "section",
    "sec": "section",
    "Eq": "equation", "eq": "equation", "Art": "article", "art": "article", "Ref": "reference",
    "ref": "reference",
    "Ed": "edition", "Ex": "example", "ex": "example", "Tab": "table", "Ver": "version", "ver": "version",
    "Approx": "approximately",
    "approx": "approximately", "Apt": "apartment", "apt": "apartment", "Rm": "room", "Ste": "suite",
    "Ext": "extension",
    "ext": "extension", "Tel": "telephone", "tel": "telephone", "Est": "established",
    "est": "established", "ca": "circa",
    "Dept": "department", "par": "paragraph", "Sc": "scene",
    "sc": "scene",
    "Bldg": "building",
    "bldg": "building",
    "vv": "verses",
    "Lv": "level",
    "lv": "level",
    "Op": "opus", "op": "opus",
}  # fmt: skip
_NUMBERED_WORD = "|".join(sorted(_NUMBERED, key=len, reverse=True))
_STREETS = {
    "St": "Street",
    "Ave": "Avenue",
    "Blvd": "Boulevard",
    "Rd": "Road",
    "Dr": "Drive",
    "Ln": "Lane",
    "Hwy": "Highway",
    "Pkwy": "Parkway",
    "Ct": "Court",
    "Sq": "Square",
}
_STREET = "|".join(_STREETS)

ABBREVIATIONS = rules(
    (
        rf"(?<![\w.])(\d+ (?:[NSEW]\.? )?(?:[A-Z][a-z]+(?:['’]s)? |\d+(?:st|nd|rd|th) ){{1,3}})({_STREET})\b(?:\.(?=,| [a-z\d])|(?=[,.;]|$| [a-z]|\n))",
        lambda f: f[1] + _STREETS[f[2]],
        "0",
    ),
    (rf"\b([A-Z][a-z]+ )Dr\.(?=\s*$| {STARTERS})", r"\1Drive.", ". D"),
    (r"\b([A-Z][a-z]+ )Dr\.(?= [a-z]|,)", r"\1Drive", ". D"),
    (r"\b([A-Z][a-z]+(?:['’]s)? )St\.(?= [a-z]|,)", r"\1Street", ". S"),
    (r"(?<![A-Za-z])Dr\b\.? ?(?=[A-Z])", "doctor ", "D"),
    (r"(?<![A-Za-z])Prof\. ?(?=[A-Z])", "professor ", ". P"),
    (rf"(?<!\dth )(?<!\dst )(?<!\dnd )(?<!\drd )(?<![A-Za-z])St\b\.? (?=[A-Z])(?!{STARTERS})", "Saint ", "S"),
    (r"(?<![A-Za-z])(Mrs?|Ms)\.(?= (?:and|&) [A-Z])", lambda f: _TITLES[f[1]], ". M"),
    (r"(?<![A-Za-z])(Mrs?|Ms)\b\.? ?(?=[A-Z])", lambda f: _TITLES[f[1]] + " ", "M"),
    (rf"(?<![A-Za-z])({_TITLE})\. ?{_NAME}", lambda f: _TITLES[f[1]] + " ", "."),
    (rf"(?<![\w.])(N[oO]|no)\. ?(?=#?\d)(?!{COUNTED_THINGS})", lambda f: _NUMBERED[f[1]] + " ", "0 Nn"),
    (
        rf"(?<![\w.])(?!N[oO]\.|no\.)({_NUMBERED_WORD})\.:? ?(?=#?\d|\(\d|[IVX]+\b)",
        lambda f: _NUMBERED[f[1]] + " ",
        ". (IVX0",
    ),
    (r"(?<![\w.])([Aa])pprox\. ?(?=\w)", r"\1pproximately ", ". x"),
    (r"(?<![\w.])[Vv]s\b\.?(?= )", "versus", "Vv"),
    (r"(?<![\w.])w/o(?!\w)", "without", "/ w"),
    (r"(?<![\w.])[Ww]/ ?(?=[A-Za-z]{2}|\d|a )", "with ", "/ Ww"),
    (r"(?<!\w)(?:§|§§) ?(?=\d)", "section ", "§ 0"),
    (r"(?<![\w%°])(?<!\d )[~≈] ?(?=[$€£¥]?\d)", "approximately ", "~≈ 0"),
    (r"(?<=\d) ?[−] ?(?=[\d(])", " minus ", "− 0"),
    (r"(?<=[A-Za-z]) ?− ?(?=[\w(])", " minus ", "−"),
    (r"−(?= ?[A-Za-z√(])", "minus ", "−"),
    (r"""(?<=[(\["“'=])-(?=[\d.$€£])""", "minus ", "- \"'(=[“"),
    (r" ?(?:<=|≤) ?(?=[-−]?[$€£¥]?[\d.])", " less than or equal to ", "<≤"),
    (r" ?(?:>=|≥) ?(?=[-−]?[$€£¥]?[\d.])", " greater than or equal to ", ">≥"),
    (
        r" ?(?<![<\w/\"'])<(?![<=/]) ?(?=[-−]?[$€£¥]?[\d.])|(?<=\w) < ?(?=[-−]?[$€£¥]?[\d.])",
        " less than ",
        "<",
    ),
    (r"(?<=[A-Za-z0-9)])<(?=\d)", " less than ", "<"),
    (r"(?<=[A-Za-z0-9)])>(?=\d)", " greater than ", ">"),
    (r"(?: |(?<![^(]))>(?!>) ?(?=[-−]?[$€£¥]?[\d.])", " greater than ", ">"),
)

_NAMES = {
    "×": "times", "÷": "divided by", "±": "plus or minus", "√": "square root of", "∞": "infinity",
    "≈": "approximately", "≠": "not equal to", "≥": "greater than or equal to", "≤": "less than or equal to",
    "²": "squared", "³": "cubed", "−": "minus", "°": "degrees", "π": "pi", "µ": "micro", "∑": "sum",
    "∫": "integral",
    "△": "triangle", "∠": "angle", "⊥": "perpendicular to", "∥": "parallel to", "∴": "therefore",
    "∵": "because", "∈": "in", "↑": "", "↓": "", "⌘": "Command", "⌥": "Option", "⇧": "Shift", "→": ",", "←": ",", "⇒": ",", "©": "copyright", "®": "registered", "™": "trademark", "€": "euros",
    "£": "pounds", "¥": "yen",
    "₹": "rupees", "¢": "cents", "§": "section", "†": ",", "‡": ",",
}  # fmt: skip
SIGNS = rules(
    (r"(?<=\w) ?(?:!=|≠) ?(?=\w)", " not equal to ", "!≠"),
    (r"(?<=[\w)]) ?(?:===?) ?(?=[\w(-])", " equals ", "="),
    (r"(?<=\w) ?<= ?(?=\w)", " less than or equal to ", "< ="),
    (r"(?<=\w) ?>= ?(?=\w)", " greater than or equal to ", "> ="),
    (r" ?(?:->|=>|<-) ?", " ", "<=- <>"),
    (r"(?<=[\w)]) ?= ?(?=[\w(√])", " equals ", "="),
    (r"(?<=[\w)]) ?\+ ?(?=[\w(])", " plus ", "+"),
    (r"(?<=\w) < (?=\w)", " less than ", "<"),
    (r"(?<=\w) > (?=\w)", " greater than ", ">"),
    (r"(?<![\w<])([a-z]) ?< ?(?=[a-z](?!\w)|\d)", r"\1 less than ", "<"),
    (r"(?<![\w<])([a-z]) ?> ?(?=[a-z](?!\w)|\d)", r"\1 greater than ", ">"),
    (r"(?<=[A-Za-z0-9])\+(?![\w+])", " plus", "+"),
    (r" ?&& ?| ?& ?", " and ", "&"),
    (r" ?\|\| ?", " or ", "|"),
    (r"(?<=\w) ?\* ?(?=\w)", " times ", "*"),
    (r"(?<!\w)@(?=\w)", "at ", "@"),
    (r"(?<=\w)@(?=\w)", " at ", "@"),
    (r" @ ", " at ", "@"),
    (r"(?<!\w)#(?=\w)", "hash ", "#"),
    (r"(?<=\w)_+(?=\w)", " ", "_"),
    (r"%", " percent", "%"),
    (r"(?<!\w)\$(?!\w)", "dollar", "$"),
    (r"(?<=\w)[²](?=[/ ]|$)?", " squared", "²"),
    (r"(?<![\w#])[#*|~]+(?![\w#])", "", "#*|~"),
)
SYMBOLS = rules(
    (
        rf" ?([{''.join(_NAMES)}])( ?(?=[^\W²³]))?",
        lambda f: f" {_NAMES[f[1]]}" + ("" if f[2] is None else " "),
    )
)
