"""Lists of texts: every form that is read, and what becomes of lines that cannot be."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.batch.manifest import Item, item_of, read_items, wrong_id
from cosyrt.errors import TextError, UsageError

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)


def written(path: Path, text: str, encoding: str = "utf-8") -> list[Item]:
    path.write_text(text, encoding=encoding)
    return list(read_items(path))


def test_json_lines(tmp_path: Path) -> None:
    """A line is an object; fields of no meaning here are passed on; a line without an id has its number."""
    first, second = written(
        tmp_path / "a.jsonl",
        '{"id": "x/1", "text": "Hello.", "voice": "ann", "style": "softly", "speed": 1.5, "seed": 7, '
        '"set": "dev"}\n'
        '\n{"text": "你好。"}\n',
    )

    assert first == Item(
        id="x/1",
        text="Hello.",
        voice="ann",
        style="softly",
        speed=1.5,
        seed=7,
        more={"set": "dev"},
        where="a.jsonl:1",
    )
    assert (second.id, second.text, second.where) == ("000003", "你好。", "a.jsonl:3")


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_tables(tmp_path: Path, delimiter: str) -> None:
    """The first row names the columns, in any order and case; an empty cell is none."""
    made = io.StringIO()
    writer = csv.writer(made, delimiter=delimiter)
    writer.writerows([["Text", "ID", "seed"], ["Hello, there; you|and you", "one", ""], ["Bye.", "two", "3"]])
    first, second = written(tmp_path / "a.csv", made.getvalue(), "utf-8-sig")

    assert (first.text, first.id, first.seed) == ("Hello, there; you|and you", "one", None)
    assert (second.text, second.id, second.seed) == ("Bye.", "two", 3)


def test_a_text_file_has_a_text_a_line(tmp_path: Path) -> None:
    """Empty lines are left out, and count."""
    items = written(tmp_path / "a.txt", "One.\r\n\r\n  Two.  \n")

    assert [(item.id, item.text) for item in items] == [("000001", "One."), ("000003", "Two.")]


def test_a_folder_has_a_text_a_file(tmp_path: Path) -> None:
    """Each file is one text with its name; what is no text is an item with its reason."""
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "2.txt").write_text("Two.\n\nMore.")
    (tmp_path / "1.txt").write_text("One.")
    (tmp_path / "3.txt").write_bytes(b"\xff\xfe\x00")
    items = list(read_items(tmp_path))

    assert [(item.id, item.text) for item in items] == [("1", "One."), ("3", ""), ("part/2", "Two.\n\nMore.")]
    assert "not UTF-8" in items[1].wrong


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no JSON object"),
        ("{}", "no text"),
        ('{"text": 3}', "no text"),
        ('{"text": "a", "voice": 3}', "its voice is no text"),
        ('{"text": "a", "speed": "fast"}', "its speed is 'fast'"),
        ('{"text": "a", "seed": 1.5}', "its seed is '1.5'"),
        ('{"text": "a", "seed": true}', "its seed is 'True'"),
        ('{"text": "a", "seed": 1e999}', "its seed is 'inf'"),
        ('{"text": "a", "id": "../../etc/passwd"}', "names no file below"),
        ('{"text": "a", "id": "/abs"}', "names no file below"),
        ('{"text": "a", "id": "a\\u0000b"}', "has a character"),
        ('{"text": "a", "id": "' + "é" * 101 + '"}', "too long"),
        ('{"text": "a", "id": "\\ud800"}', "too long"),
    ],
)
def test_a_line_that_cannot_be_used_stops_nothing(tmp_path: Path, line: str, reason: str) -> None:
    """Such a line is an item with a reason, and the one behind it is read."""
    wrong, right = written(tmp_path / "a.jsonl", line + '\n{"text": "b", "id": "b"}\n')

    assert reason in wrong.wrong and wrong.where == "a.jsonl:1"
    assert right.text == "b" and not right.wrong


def test_two_of_one_id(tmp_path: Path) -> None:
    """The second is wrong, and names the first."""
    first, second = written(tmp_path / "a.jsonl", '{"id": "x", "text": "a"}\n{"id": "x", "text": "b"}\n')

    assert not first.wrong
    assert second.wrong == "the id 'x' is that of a.jsonl:1, too"


def test_a_row_with_too_many_cells(tmp_path: Path) -> None:
    """An unquoted comma moves cells where nobody meant them: that row is refused."""
    wrong, right = written(tmp_path / "a.csv", "id,text\na,Hello, you\nb,Hello.\n")

    assert wrong.wrong == "it has more than 2 columns" and right.text == "Hello."


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.csv", b"id,words\n1,Hello\n", UsageError),
        ("a.csv", b"", UsageError),
        ("a.doc", b"Hello", UsageError),
        ("a.txt", b"\xff\xfe", TextError),
    ],
)
def test_what_is_no_list(tmp_path: Path, name: str, content: bytes, error: type[Exception]) -> None:
    """One error that says what to give."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(error):
        list(read_items(path))


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    """A missing file, and a folder without texts."""
    with pytest.raises(UsageError, match="No such file"):
        list(read_items(tmp_path / "a.txt"))
    with pytest.raises(UsageError, match="has no"):
        list(read_items(tmp_path))


@given(texts=st.lists(TEXTS, max_size=5))
def test_json_lines_give_back_any_text(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever the words are, each is read as it was written."""
    path = tmp_path_factory.mktemp("list") / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))

    assert [item.text for item in read_items(path)] == texts


@given(id=st.text(max_size=300))
def test_an_id_stays_below_the_folder(id: str) -> None:
    """An id that is taken names a file that could be made below any folder; all others have a reason."""
    if wrong_id(id):
        assert item_of({"id": id, "text": "a"}, 1, "").wrong
        return
    path = (Path("/out") / f"{id}.wav").as_posix()
    assert path == f"/out/{id}.wav" and ".." not in path.split("/")
    assert all(len(part.encode()) < 256 for part in path.split("/"))
