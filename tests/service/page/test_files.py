"""The files of the page: where they lead, what they say, under which policy they are sent."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from cosyrt.service import page

FILES = sorted(page.FOLDER.iterdir())
TEXTS = {path.name: path.read_text("utf-8") for path in FILES}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """The page alone, without a service behind it."""
    app = FastAPI()
    app.include_router(page.router)
    with TestClient(app) as client:
        yield client


def test_every_file_is_sent_with_its_type_and_the_policy(client: TestClient) -> None:
    """Whatever a browser asks for has a type that it may not guess at, and the strict policy."""
    for path in page.paths():
        response = client.get(path)
        name = path.rpartition("/")[2]
        kind = {"": ".html", "favicon.ico": ".svg"}.get(name, name[name.rfind(".") :])
        assert (response.status_code, response.headers["content-type"]) == (200, page.TYPES[kind])
        assert response.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert response.headers["x-content-type-options"] == "nosniff"


def test_what_a_browser_has_is_not_sent_again(client: TestClient) -> None:
    """A file that is still the same is 304 without a body; HEAD has none either."""
    tag = client.get("/").headers["etag"]
    again = client.get("/", headers={"If-None-Match": tag})

    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.head("/page/page.js").content == b""


@pytest.mark.parametrize("name", ["missing.js", "..%2f__init__.py", "%2e%2e", "__init__.py", ""])
def test_nothing_else_is_sent(client: TestClient, name: str) -> None:
    """A name that is not a file of the page is 404, wherever it would lead."""
    assert client.get(f"/page/{name}").status_code == 404


def test_every_file_that_is_named_is_there() -> None:
    """What the page and its modules ask for exists, and nothing lies there that nobody asks for."""
    named = {name for text in TEXTS.values() for name in re.findall(r"/page/([\w.]+)", text)}

    assert named == set(TEXTS) - {page.INDEX}


def test_nothing_is_asked_for_elsewhere() -> None:
    """No file names another host, apart from the name of SVG's own language."""
    for name, text in TEXTS.items():
        assert (
            re.findall(
                r"(?:https?:)?//[a-z][\w.-]+\.[a-z]{2,}", text.replace("http://www.w3.org/2000/svg", "")
            )
            == []
        ), name


def test_nothing_needs_a_weaker_policy() -> None:
    """The page has no script and no style of its own between its tags, and no handler in an attribute."""
    html = TEXTS[page.INDEX]

    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", html) == []
    assert re.findall(r"<script(?![^>]*\ssrc=)", html) == []


def keys_of(language: str) -> set[str]:
    """The keys of the words of one language."""
    table = re.search(rf"^  {language}: {{\n(.*?)^  }},$", TEXTS["words.js"], re.MULTILINE | re.DOTALL)
    assert table
    return set(re.findall(r"^    \"?([\w.]+)\"?:", table[1], re.MULTILINE))


def test_both_languages_say_the_same() -> None:
    """Each key has English and Chinese words; messages of the server are English already."""
    assert keys_of("en") == {key for key in keys_of("zh") if not key.startswith("code.")}


def test_every_word_that_is_used_is_there() -> None:
    """The page and its modules name no key without words, and there are no words that nobody uses."""
    used = set(re.findall(r'data-t(?:-\w+)?="(\w+)"', TEXTS[page.INDEX]))
    scripts = "\n".join(text for name, text in TEXTS.items() if name.endswith(".js") and name != "words.js")
    called = set(re.findall(r'\bt\("(\w+)"', scripts))
    quoted = set(re.findall(r'"(\w+)"', scripts))

    assert used | called <= keys_of("en")
    assert keys_of("en") - used - quoted == set()


def test_every_part_that_a_script_looks_for_is_on_the_page() -> None:
    """Ids that scripts ask for are in the page, each once."""
    ids = re.findall(r'\sid="([\w-]+)"', TEXTS[page.INDEX])
    asked = {name for text in TEXTS.values() for name in re.findall(r'byId\("([\w-]+)"\)', text)}

    problems = {name for text in TEXTS.values() for name in re.findall(r'showProblem\("([\w-]+)"', text)}
    cleared = {
        name
        for text in TEXTS.values()
        for names in re.findall(r"clearProblems\(([^.)]*)\)", text)
        for name in re.findall(r'"([\w-]+)"', names)
    }

    assert len(ids) == len(set(ids))
    assert asked <= set(ids)
    assert problems and cleared and {f"{name}-error" for name in problems | cleared} <= set(ids)


def test_every_control_has_a_name() -> None:
    """Fields have a label, buttons have words or a label, so that a screen reader can tell them."""
    html = TEXTS[page.INDEX]
    labelled = set(re.findall(r'<label for="([\w-]+)"', html))
    for tag in re.findall(r"<(?:input|select|textarea)[^>]*>", html):
        found = re.search(r'\sid="([\w-]+)"', tag)
        assert found, tag
        in_label = re.search(rf'<label class="check"><input[^>]*id="{found[1]}"', html)
        assert found[1] in labelled or "aria-label=" in tag or in_label, tag
    for attributes, words in re.findall(r"<button([^>]*)>(.*?)</button>", html, re.DOTALL):
        assert "aria-label=" in attributes or re.sub(r"<[^>]+>", "", words).strip(), attributes
