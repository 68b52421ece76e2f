"""The page speaks: in a real Chromium, from a real server."""

from __future__ import annotations

from pathlib import Path
from socket import AF_INET
from typing import Any

import psutil
import pytest

pytest.importorskip("playwright", reason="the package playwright is not installed")

from playwright.sync_api import Page, expect

from cosyrt.accel import guard
from cosyrt.accel.plan import Plan, Planned
from cosyrt.audio import Audio
from cosyrt.engine.pipeline import Pipeline
from cosyrt.label_check import check_label
from tests.service.served import Served, busy, serving, wait_until

LONG = "This is a long text that nobody will hear to its end. " * 40


def wait_for_state(page: Page, *states: str) -> None:
    """Wait until the player is in one of the states."""
    page.wait_for_function(
        "states => states.includes(document.getElementById('player').dataset.state)", arg=list(states)
    )


def number(page: Page, name: str) -> float:
    """The number in a figure."""
    return float(page.locator(f"#{name}").inner_text().split()[0])


def speak(page: Page, text: str) -> None:
    """Type a text and press the button."""
    page.fill("#text", text)
    page.click("#go")


def test_it_speaks_and_tells_how_fast(open_page: Any, served: Served) -> None:
    """Text and a click give sound to its end, with first audio, real-time factor and device told."""
    page = open_page(served.url)
    speak(page, "Hello there.")
    wait_for_state(page, "playing")
    wait_for_state(page, "ended")

    assert 0 < number(page, "first-audio") < 60_000
    assert number(page, "rtf") > 0
    expect(page.locator("#device")).to_have_text("cpu")
    expect(page.locator("#clock")).to_have_text(page.locator("#length").inner_text())
    expect(page.locator("#history li")).to_have_count(1)
    expect(page.locator("#history .what")).to_have_text("Hello there.")
    drawn = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(value => value)"
    assert page.locator("#wave").evaluate(drawn)


def test_stop_frees_the_engine(open_page: Any, served: Served) -> None:
    """The button, and Escape, end the request: the scheduler has nothing left to do."""
    page = open_page(served.url)
    for stop in (lambda: page.click("#stop"), lambda: page.keyboard.press("Escape")):
        speak(page, LONG)
        wait_for_state(page, "playing")
        assert busy(served.service) == 1
        stop()
        served.wait_idle()
        expect(page.locator("#stop")).to_be_disabled()
    assert page.locator("#player").get_attribute("data-state") == "paused"


def test_closing_the_page_frees_the_engine(open_page: Any, served: Served) -> None:
    """Who closes the tab in the middle of a speech has stopped it."""
    page = open_page(served.url)
    speak(page, LONG)
    wait_until(lambda: busy(served.service) == 1)
    page.close()
    served.wait_idle()


@pytest.mark.slow
def test_seeking_and_pausing(open_page: Any, served: Served) -> None:
    """The position can be moved with the keys, and playing is paused and goes on from there."""
    page = open_page(served.url)
    speak(page, "Seven words are enough to seek in.")
    wait_for_state(page, "ended")
    page.focus("#seek")
    page.keyboard.press("Home")
    wait_for_state(page, "paused")
    expect(page.locator("#clock")).to_have_text("0:00")
    page.click("#play")
    wait_for_state(page, "playing")
    page.click("#play")
    wait_for_state(page, "paused", "ended")


@pytest.mark.slow
def test_what_was_heard_can_be_kept(open_page: Any, served: Served, tmp_path: Path) -> None:
    """Formats come as files: audio as long as what was heard, and labelled; captions with the text."""
    page = open_page(served.url)
    speak(page, "Keep this.")
    wait_for_state(page, "ended")
    seconds = float(page.locator("#seek").get_attribute("max") or 0)
    for format in ("mp3", "wav", "srt"):
        page.select_option("#format", format)
        with page.expect_download() as download:
            page.click("#download")
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        assert path.name == f"speech.{format}"
    assert "Keep this." in path.read_text("utf-8")
    for name in ("speech.mp3", "speech.wav"):
        assert Audio.read(tmp_path / name).seconds == pytest.approx(seconds, abs=0.12)
        assert check_label(tmp_path / name).labelled


@pytest.mark.slow
def test_the_same_again_from_the_history(open_page: Any, served: Served) -> None:
    """An entry can be heard again, its text used again, and removed; the newest is first."""
    page = open_page(served.url)
    for text in ("First.", "Second."):
        speak(page, text)
        wait_for_state(page, "ended")
    assert page.locator("#history .what").all_inner_texts() == ["Second.", "First."]

    last = page.locator("#history li").nth(1)
    last.get_by_role("button", name="Play").click()
    expect(last).to_have_attribute("aria-current", "true")
    last.get_by_role("button", name="Use the text").click()
    expect(page.locator("#text")).to_have_value("First.")
    last.get_by_role("button", name="Remove").click()
    assert page.locator("#history .what").all_inner_texts() == ["Second."]


def test_the_keyboard_alone_is_enough(open_page: Any, served: Served) -> None:
    """From the first Tab: skip to the text, type, speak with Ctrl+Enter, reach and press Play."""
    page = open_page(served.url)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("Typed.")
    page.keyboard.press("Control+Enter")
    wait_for_state(page, "ended")
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
        if reached[-1] == "play":
            break
    assert {"voice", "speed", "go", "seek", "play"} <= set(reached)
    page.keyboard.press("Enter")
    wait_for_state(page, "playing", "waiting", "ended")
    expect(page.locator("#history .what")).to_have_text("Typed.")


def test_a_mistake_is_told_where_it_belongs(open_page: Any, tiny: Pipeline) -> None:
    """No text, and one that is too long, are told below the text, which gets the focus."""
    with serving(tiny, max_text=20) as served:
        page = open_page(served.url)
        speak(page, "  ")
        expect(page.locator("#text-error")).to_have_text("Type some text first.")
        speak(page, "More than twenty characters are in this.")
        expect(page.locator("#text-error")).to_contain_text("more than 20")
        expect(page.locator("#text")).to_be_focused()
        expect(page.locator("#text")).to_have_attribute("aria-invalid", "true")
        speak(page, "Short.")
        expect(page.locator("#text-error")).to_have_text("")
        wait_for_state(page, "ended")
        open_page.close()


def test_a_busy_service_says_when_to_come_back(open_page: Any, tiny: Pipeline) -> None:
    """A refusal for lack of room is told beside the button, with the seconds to wait, in Chinese too."""
    with serving(tiny, max_active=1, max_queue=0) as served:
        page = open_page(served.url, locale="zh-CN")
        with served.open("POST", "/v1/audio/speech", {"input": LONG, "response_format": "pcm"}) as response:
            response.read(1_000)
            speak(page, "你好。")
            expect(page.locator("#speech-error")).to_contain_text("服务正忙，等待的请求太多。请在")
        served.wait_idle()
        speak(page, "你好。")
        expect(page.locator("#speech-error")).to_have_text("")
        wait_for_state(page, "ended")
        open_page.close()


@pytest.mark.parametrize(("locale", "words"), [("zh-CN", "朗读"), ("en-US", "Speak"), ("de-DE", "Speak")])
def test_the_language_is_the_browsers(open_page: Any, served: Served, locale: str, words: str) -> None:
    """Chinese where the browser speaks it, else English; the button changes everything, and is remembered."""
    page = open_page(served.url, locale=locale)
    expect(page.locator("#go")).to_have_text(words)
    page.click("#language")
    other = "Speak" if words == "朗读" else "朗读"
    expect(page.locator("#go")).to_have_text(other)
    page.reload()
    expect(page.locator("#go")).to_have_text(other)
    assert page.evaluate("document.documentElement.lang") == ("en" if other == "Speak" else "zh-CN")


LOW = "all => all.filter(each => each.offsetParent && each.offsetHeight < 32).map(each => each.outerHTML)"


@pytest.mark.parametrize("locale", ["zh-CN", pytest.param("en-US", marks=pytest.mark.slow)])
def test_a_phone_has_room_for_it(open_page: Any, served: Served, locale: str) -> None:
    """At 360 pixels nothing is wider than the screen, in any view, and what is touched is tall enough."""
    page = open_page(served.url, locale=locale, viewport={"width": 360, "height": 740}, has_touch=True)
    speak(page, "Fits.")
    wait_for_state(page, "ended")
    for view in ("speak", "voices", "keys", "api"):
        page.click(f"a[href='#{view}']:not(.brand)")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        touched = page.locator("button, select, input:not([type=checkbox], [type=range])")
        assert touched.evaluate_all(LOW) == []


# The least contrast of words with the ground, as WCAG 2 defines it.
CONTRAST = """() => {
    const linear = (x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    const level = (text) => {
        const [r, g, b] = text.match(/[\\d.]+/g).map((x) => linear(x / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = level(getComputedStyle(document.body).backgroundColor);
    const words = [...document.querySelectorAll("label, dt, dd, nav a, .muted, .problem")];
    return Math.min(...words.map((each) => {
        const ink = level(getComputedStyle(each).color);
        return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
    }));
}"""


def test_light_and_dark(open_page: Any, served: Served) -> None:
    """The colours are the system's until the button is pressed, which is remembered; words stay readable."""
    page = open_page(served.url, color_scheme="dark", reduced_motion="reduce")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    assert page.evaluate(CONTRAST) >= 4.5
    page.click("#theme")
    assert page.evaluate(ground) != dark
    assert page.evaluate(CONTRAST) >= 4.5
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_a_service_that_has_gone_is_told(open_page: Any, tiny: Pipeline) -> None:
    """After the server has stopped, speaking says that it does not answer."""
    with serving(tiny) as served:
        page = open_page(served.url)
    speak(page, "Hello?")
    expect(page.locator("#speech-error")).to_contain_text("does not answer")
    open_page.close()
    assert all("ERR_CONNECTION_REFUSED" in problem for problem in open_page.problems)
    open_page.problems.clear()


@pytest.mark.slow
def test_it_works_on_a_plain_address(open_page: Any, tiny: Pipeline) -> None:
    """On http and a local address, where browsers allow less, it speaks, and says what cannot be done."""
    found = [each.address for all in psutil.net_if_addrs().values() for each in all if each.family == AF_INET]
    address = next((each for each in found if not each.startswith("127.")), None)
    if address is None:
        pytest.skip("this machine has no address but its loopback")
    with serving(tiny, host="0.0.0.0", open=True) as served:
        page = open_page(f"http://{address}:{served.port}")
        assert not page.evaluate("window.isSecureContext")
        speak(page, "Hello.")
        wait_for_state(page, "ended")
        page.click("nav a[href='#voices']")
        record = page.locator("#reference").get_by_role("button", name="Record")
        expect(record).to_be_disabled()
        expect(page.locator("#reference")).to_contain_text("choose a file instead")
        open_page.close()


def test_the_api_is_described(open_page: Any, served: Served) -> None:
    """Every route that the service describes is told, with an example that works as it stands."""
    page = open_page(served.url)
    page.click("footer a[href='#api']")
    described = served.ask("GET", "/openapi.json").json["paths"]
    expect(page.locator("#api-list li")).to_have_count(sum(map(len, described.values())))
    example = page.locator("#api-list li", has_text="POST /v1/audio/speech").locator("pre").first
    expect(example).to_contain_text(f"curl {served.url}/v1/audio/speech")
    form = page.locator("#api-list li", has_text="POST /v1/audio/voices").locator("pre").first
    expect(form).to_contain_text("-F 'audio_sample=@ann.wav'")


def test_a_plan_that_failed_is_shown(open_page: Any, tiny: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page tells the backends in use, and which parts have gone back to the plain model."""
    monkeypatch.setattr(guard, "_disabled", set())
    monkeypatch.setattr(guard, "events", type(guard.events)())
    made = {"vocode": Planned(backend="torchscript", speedup=1.5)}
    plan = Plan(made_for={"model": "a model of this test"}, parts=made)
    monkeypatch.setattr("cosyrt.service.start.plan_of", lambda *_: plan)
    with serving(tiny) as served:
        page = open_page(served.url)
        expect(page.locator("#plan")).to_have_text("torchscript")
        expect(page.locator("#plan-note")).to_have_text("")
        assert served.ask("POST", "/admin/plan/rollback").json["rolled_back"] == ["vocode"]
        expect(page.locator("#plan")).to_have_text("plain")
        expect(page.locator("#plan-note")).to_have_text("plain again: vocode")
        open_page.close()
