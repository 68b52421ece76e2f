"""A model description is data: what is understood, what is refused, and how damage ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosyrt.checkpoint import hyperyaml
from cosyrt.checkpoint.hyperyaml import MAX_BYTES, MAX_VALUES, Tagged, read_description
from cosyrt.errors import ConfigError, ModelError, ModelNotFound

GOLDEN = Path(__file__).parents[1] / "golden"
damaged = settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def read(folder: Path, text: str | bytes) -> dict[str, Any]:
    path = folder / "cosyvoice2.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_description(path)


@pytest.mark.parametrize("family", ["cosyvoice", "cosyvoice2", "cosyvoice3"])
def test_the_official_dialect_is_read(family: str) -> None:
    """The three families' descriptions parse, tags as nodes and every reference resolved."""
    description = read_description(GOLDEN / f"{family}-small.yaml")

    assert description["__set_seed1"] == Tagged("random.seed", {"0": 1986}, "apply")
    flow, rate = description["flow"], description["sample_rate"]
    assert flow.args["spk_embed_dim"] == 192
    assert flow.args["decoder"].args["cfm_params"].args["content"]["sigma_min"] == 1e-6
    assert description["hift"].args["sampling_rate"] == rate
    assert description["llm"].args["sampling"].kind == "name"
    assert "<" not in repr(description)


def test_references_carry_values_arithmetic_and_text(tmp_path: Path) -> None:
    """A reference gives the value itself, numbers calculate, text is filled in, in any order of keys."""
    description = read(
        tmp_path,
        """
frames: !ref <chunk> * <ratio>
rest: !ref -(<chunk> - 1) // <ratio> + 0.5
chunk: 25
ratio: 2
inner: !ref <table[list][1]>
kept: !ref <model[width]>
table: {list: [1, 2e-3]}
model: !new:a.b.Model
    width: 7
file: !ref <folder>/x-<chunk>.txt
folder: data
again: [!ref <model>, !ref <model>]
truth: yes
nothing: null
""",
    )

    assert description["frames"] == 50
    assert description["rest"] == -12 + 0.5
    assert description["inner"] == 2e-3
    assert description["kept"] == 7
    assert description["file"] == "data/x-25.txt"
    assert description["again"] == [Tagged("a.b.Model", {"width": 7})] * 2
    assert description["truth"] is True
    assert description["nothing"] is None


def test_a_pipeline_of_names_is_read(tmp_path: Path) -> None:
    """The training half of a description is data like the rest: lists of references to tagged names."""
    description = read(
        tmp_path,
        """
resample: !name:cosyvoice.dataset.processor.resample
    resample_rate: 24000
shuffle: !name:cosyvoice.dataset.processor.shuffle
data_pipeline: [
    !ref <resample>,
    !ref <shuffle>,
]
gan: !new:cosyvoice.hifigan.hifigan.HiFiGan
    mpd: !new:matcha.hifigan.models.MultiPeriodDiscriminator
""",
    )

    resample = Tagged("cosyvoice.dataset.processor.resample", {"resample_rate": 24000}, "name")
    assert description["data_pipeline"] == [
        resample,
        Tagged("cosyvoice.dataset.processor.shuffle", {}, "name"),
    ]


ATTACKS = {
    "python tag": "a: !!python/object/apply:os.system ['touch {canary}']",
    "python name": "a: !!python/name:os.system",
    "include": "a: !include:/etc/passwd",
    "applyref": "a: !applyref:os.system ['touch {canary}']",
    "module": "a: !module:antigravity",
    "copy": "a: 1\nb: !copy <a>",
    "a tag that is no name": "a: !new:os;system",
    "a tag without a name": "a: !new:",
    "a scalar argument": "a: !new:os.system touch",
    "unknown reference": "a: !ref <b>",
    "reference to itself": "a: !ref <a>",
    "references in a circle": "a: !ref <b>\nb: [!ref <a>]",
    "alias to itself": "a: &x [*x]",
    "power": "a: 9\nb: !ref <a> ** 9999999",
    "call in a formula": "a: 9\nb: !ref <a> + exit()",
    "division by zero": "a: 0\nb: !ref 1 / <a>",
    "formula of a mapping": "a: {}\nb: !ref <a> * 2",
    "missing inner key": "a: {}\nb: !ref <a[b]>",
    "a long formula": "a: 1\nb: !ref <a>" + " + <a>" * 100,
    "doubled key": "a: 1\na: 2",
    "merge key": "a: &x {b: 1}\nc: {<<: *x}",
    "number as key": "1: 2",
    "list as key": "? [a]\n: 1",
    "binary": "a: !!binary aGVsbG8=",
    "set": "a: !!set {x, y}",
    "nul": 'a: "x\\0y"',
    "lone surrogate": 'a: "\\ud800"',
    "beyond unicode": 'a: "\\UFFFFFFFF"',
    "empty int": "a: !!int ''",
    "not a bool": "a: !!bool perhaps",
    "a number of 5000 digits": "a: " + "9" * 5000,
    "a number of many parts": "a: 1" + ":1" * 30,
    "a real number of many parts": "a: 1" + ":1" * 30 + ".5",
    "text that doubles": 'a0: "'
    + "x" * 100
    + '"\n'
    + "\n".join(f"a{i}: !ref <a{i - 1}><a{i - 1}>" for i in range(1, 9)),
    "deep": "a: " + "[" * 5000 + "]" * 5000,
    "deep through references": "a0: 1\n" + "\n".join(f"a{i}: [!ref <a{i - 1}>]" for i in range(1, 500)),
    "aliases that multiply": "a0: &a0 [1,1,1,1,1,1,1,1]\n"
    + "\n".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 8)}]" for i in range(1, 9)),
    "references that multiply": "a0: [1,1,1,1,1,1,1,1]\n"
    + "\n".join(f"a{i}: [{','.join([f'!ref <a{i - 1}>'] * 8)}]" for i in range(1, 9)),
    "many values": "a: [" + "1," * 30_000 + "]",
    "too large": "# " + "x" * MAX_BYTES,
    "two documents": "a: 1\n---\nb: 2",
    "empty": "",
    "a list": "[1, 2]",
    "a text": "hello",
    "a tagged whole": "!new:os.system {a: 1}",
    "broken": "a: [1, 2",
    "tabs": "a:\n\t- b",
}


@pytest.mark.parametrize("name", ATTACKS)
def test_everything_else_is_refused(name: str, tmp_path: Path) -> None:
    """Code, loops, bombs and malformed files end in one line of ConfigError, with nothing run."""
    canary = tmp_path / "canary"

    with pytest.raises(ConfigError) as refused:
        read(tmp_path, ATTACKS[name].replace("{canary}", str(canary)))

    assert "\n" not in str(refused.value)
    assert "cosyvoice2.yaml" in str(refused.value)
    assert not canary.exists()


def test_python_in_a_plain_scalar_stays_text(tmp_path: Path) -> None:
    """Text that HyperPyYAML would parse again and execute is text here."""
    text = "(!!python/object/apply:os.system ['touch x'])"

    assert read(tmp_path, f"a: {text}") == {"a": text}


def test_a_refusal_names_the_line(tmp_path: Path) -> None:
    """The error says where in the file the trouble is."""
    with pytest.raises(ConfigError, match=r"line 3: the tag '!include:x' is not one of"):
        read(tmp_path, "a: 1\nb: 2\nc: !include:x\n")


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    """Whoever asks a description for a key it lacks gets the key and the place, not a KeyError."""
    description = read(tmp_path, "flow: !new:a.Flow\n    size: 2\n")

    with pytest.raises(
        ConfigError, match=r"cosyvoice2\.yaml: the !new:a\.Flow in line 1 lacks the key 'width'"
    ):
        description["flow"].args["width"]
    with pytest.raises(ConfigError, match=r"the mapping in line 1 lacks the key 'hift'"):
        description["hift"]
    assert description["flow"].args.get("width", 3) == 3


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """A missing file and a folder in its place are ModelNotFound."""
    for path in (tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(ModelNotFound, match="cannot be opened"):
            read_description(path)


@damaged
@given(data=st.data())
def test_a_damaged_description_is_a_model_error(data: st.DataObject, tmp_path: Path) -> None:
    """Cut or overwritten anywhere, a description is read or refused as ModelError: nothing else escapes."""
    whole = (GOLDEN / "cosyvoice2-small.yaml").read_bytes()
    at = data.draw(st.integers(0, len(whole)))
    patch = data.draw(
        st.binary(max_size=8)
        | st.sampled_from([b"!ref <llm>", b"&a [*a]", b"!!int ", b"<<: ", b"{", b"? ", b"%YAML "])
    )
    end = data.draw(st.sampled_from([at, at + len(patch), len(whole)]))
    try:
        assert isinstance(read(tmp_path, whole[:at] + patch + whole[end:]), dict)
    except ModelError as error:
        assert "\n" not in str(error)


@damaged
@given(
    st.text(st.sampled_from(list("ab<>[]{}!:,&*?|-'\"%#\n ref0.9eE_x\\Uu")), max_size=60)
    | st.binary(max_size=60)
)
def test_random_yaml_is_a_model_error(tmp_path: Path, text: str | bytes) -> None:
    """Anything at all in the file is a mapping or a ModelError."""
    try:
        assert isinstance(read(tmp_path, text), dict)
    except ModelError as error:
        assert "\n" not in str(error)


def read_with(loader: Any, text: bytes) -> str | None:
    """What a loader makes of a description; None where it is refused."""
    try:
        return repr(hyperyaml._Reader(Path("cosyvoice2.yaml"), loader(text)).read())
    except (ConfigError, yaml.YAMLError, ValueError, ArithmeticError, LookupError):
        return None


@settings(damaged, max_examples=60)
@given(data=st.data())
def test_libyaml_reads_what_pyyaml_alone_reads(data: st.DataObject) -> None:
    """Whole, or damaged in a line or two, a description is the same for both loaders, or refused by both."""
    lines = (GOLDEN / "cosyvoice2-small.yaml").read_bytes().splitlines(keepends=True)[:40]
    for _ in range(data.draw(st.integers(0, 2))):
        at = data.draw(st.integers(0, len(lines) - 1))
        lines[at] = data.draw(
            st.sampled_from([b"", b"\n", b"a: [1, 2\n", b"  - x\n", b"- {b: 'c'}\n", b"&a\n"])
        )
    text = b"".join(lines)

    assert read_with(hyperyaml._Loader, text) == read_with(hyperyaml._PlainLoader, text)


@pytest.mark.parametrize("loader", ["_Loader", "_PlainLoader"])
@pytest.mark.parametrize("text", ["- " * 70, "[" * 70, "x:\n" + "- a\n" * MAX_VALUES])
def test_both_loaders_are_bounded(loader: str, text: str) -> None:
    """Depth and size end either loader while the tree is built."""
    with pytest.raises(yaml.MarkedYAMLError, match=r"nested deeper than|more than"):
        getattr(hyperyaml, loader)(text.encode()).get_single_node()
