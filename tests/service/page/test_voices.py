"""The page makes a voice from a recording with its owner's consent, speaks with it, and deletes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("playwright", reason="the package playwright is not installed")

from playwright.sync_api import Page, expect

from cosyrt.audio import Audio
from cosyrt.engine.pipeline import Pipeline
from tests.service.page.test_speaking import wait_for_state
from tests.service.served import Served, serving


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A recording of two seconds that the tiny model takes for speech."""
    time_s = np.arange(48_000) / 24_000
    buzz = sum(np.sin(2 * np.pi * 120 * k * time_s) / k for k in range(1, 20))
    path = tmp_path / "clip.wav"
    Audio((0.2 * buzz * (1 + np.sin(8 * time_s)) / 2).astype(np.float32), 24_000).write(path)
    return path


def choose(page: Page, place: str, file: Path) -> None:
    """Choose a file in the place of a recording."""
    page.set_input_files(f"#{place} input[type=file]", file)
    expect(page.locator(f"#{place} audio")).to_be_visible()


def open_voices(open_page: Any, served: Served, **options: object) -> Page:
    """The view of voices."""
    page: Page = open_page(f"{served.url}/#voices", **options)
    expect(page.locator("#voice-list li").first).to_be_visible()
    return page


def test_a_voice_is_made_heard_and_deleted(open_page: Any, tiny: Pipeline, clip: Path) -> None:
    """Name, recording, transcript and consent make a voice, which can be chosen, heard and deleted."""
    with serving(tiny) as served:
        page = open_voices(open_page, served)
        page.fill("#clone-name", "Bernadette")
        choose(page, "reference", clip)
        page.fill("#transcript", "Hello there.")
        choose(page, "consent", clip)
        page.check("#consent-given")
        page.click("#clone-go")
        expect(page.locator("#clone-note")).to_have_text("“Bernadette” can speak now.")

        [consent] = served.ask("GET", "/v1/audio/voice_consents").json["data"]
        assert consent["statement"].startswith("This is my own voice.") and consent["language"] == "en-US"
        row = page.locator("#voice-list li", has_text="Bernadette")
        row.get_by_role("button", name="Hear it").click()
        wait_for_state(page, "ended")
        expect(page.locator("#history small")).to_contain_text("Bernadette")

        page.click("nav a[href='#voices']")
        page.once("dialog", lambda dialog: dialog.accept())
        row.get_by_role("button", name="Delete").click()
        expect(row).to_have_count(0)
        assert "Bernadette" not in str(served.ask("GET", "/v1/audio/voices").json)
        open_page.close()


def test_what_is_missing_is_told_where_it_belongs(open_page: Any, served: Served, clip: Path) -> None:
    """Name, recording, recorded consent and the tick are asked for one by one; nothing is sent before."""
    page = open_voices(open_page, served)
    steps = [
        ("clone-name", "Give the voice a name.", lambda: page.fill("#clone-name", "Bernadette")),
        ("reference", "Record the voice, or choose a file.", lambda: choose(page, "reference", clip)),
        ("consent", "Record the sentence, or choose a file with it.", lambda: choose(page, "consent", clip)),
        ("consent", "Confirm the permission.", lambda: page.uncheck("#consent-given")),
    ]
    for place, words, mend in steps:
        page.click("#clone-go")
        expect(page.locator(f"#{place}-error")).to_have_text(words)
        mend()
    assert served.ask("GET", "/v1/audio/voice_consents").json["data"] == []


def test_a_recording_that_is_none(open_page: Any, tiny: Pipeline, clip: Path, tmp_path: Path) -> None:
    """What the service refuses about the recording is told below the recording, in Chinese too."""
    noise = tmp_path / "noise.wav"
    noise.write_bytes(b"no audio at all")
    with serving(tiny) as served:
        page = open_voices(open_page, served, locale="zh-CN")
        page.fill("#clone-name", "Bernadette")
        page.set_input_files("#reference input[type=file]", noise)
        choose(page, "consent", clip)
        page.check("#consent-given")
        page.click("#clone-go")
        expect(page.locator("#reference-error")).to_have_text("这段录音无法使用。")
        expect(page.locator("#consent-sentence")).to_contain_text("我同意")
        open_page.close()


def test_the_microphone_records(open_page: Any, served: Served) -> None:
    """Record, Finish: there is something to hear; its microphone is let go."""
    page = open_voices(open_page, served)
    take = page.locator("#reference")
    take.get_by_role("button", name="Record").click()
    expect(take.get_by_role("button", name="Finish")).to_be_focused()
    page.wait_for_timeout(300)
    take.get_by_role("button", name="Finish").click()
    expect(take.locator("audio")).to_be_visible()
    expect(take.get_by_role("button", name="Record")).to_be_visible()
