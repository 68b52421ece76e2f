"""The page and keys: asked for where they are needed, made and revoked by those who may."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("playwright", reason="the package playwright is not installed")

from playwright.sync_api import Page, expect

from cosyrt.engine.pipeline import Pipeline
from cosyrt.service.accounts import Accounts
from cosyrt.service.keys import Scope
from tests.service.page.test_speaking import speak, wait_for_state
from tests.service.served import Served, serving


def key_for(served: Served, *scopes: Scope) -> str:
    """A new key of the service."""
    assert isinstance(served.service.accounts, Accounts)
    return served.service.accounts.add_key("ann", scopes=frozenset(scopes or {Scope.SPEECH}))[1]


def give_key(page: Page, key: str) -> None:
    """Type a key into the field for it and use it."""
    page.fill("#key", key)
    page.click("#own-key button[type=submit]")


def test_a_key_is_asked_for_where_it_is_needed(open_page: Any, tiny: Pipeline) -> None:
    """Speaking without a key, or with a wrong one, leads to the field for it; then it speaks."""
    with serving(tiny) as served:
        key = key_for(served)
        page = open_page(served.url)
        speak(page, "Hello.")
        expect(page.locator("#key-error")).to_have_text("This service wants a key. Paste yours here.")
        expect(page.locator("#key")).to_be_focused()
        give_key(page, "cv_wrong")
        page.click("nav a[href='#speak']")
        page.click("#go")
        expect(page.locator("#key-error")).to_have_text("This key is not known, has expired or was revoked.")
        give_key(page, key)
        page.click("nav a[href='#speak']")
        page.click("#go")
        wait_for_state(page, "ended")
        open_page.close()


def test_a_key_is_kept_only_where_that_is_wanted(open_page: Any, tiny: Pipeline) -> None:
    """A key goes with its tab; with the box ticked it is there in the next one, until it is forgotten."""
    with serving(tiny) as served:
        page = open_page(f"{served.url}/#keys")
        give_key(page, "cv_of_the_tab")
        stored = "[sessionStorage.getItem('cosyrt.key'), localStorage.getItem('cosyrt.key')]"
        assert page.evaluate(stored) == ["cv_of_the_tab", None]
        page.check("#keep-key")
        give_key(page, "cv_of_the_device")
        assert page.evaluate(stored) == [None, "cv_of_the_device"]
        page.click("#forget-key")
        assert page.evaluate(stored) == [None, None]
        open_page.close()


@pytest.mark.slow
def test_too_many_requests_say_when_to_come_back(open_page: Any, tiny: Pipeline) -> None:
    """A 429 is told beside the button, with the seconds to wait, in the language of the page."""
    with serving(tiny, requests_per_minute=1) as served:
        key = key_for(served)
        page = open_page(f"{served.url}/#keys", locale="zh-CN")
        give_key(page, key)
        page.click("nav a[href='#speak']")
        speak(page, "你好。")
        wait_for_state(page, "ended")
        speak(page, "你好。")
        expect(page.locator("#speech-error")).to_contain_text("请求太频繁。请在")
        expect(page.locator("#go")).to_be_enabled()
        open_page.close()


def test_the_first_key_is_made_and_used_at_once(open_page: Any, tiny: Pipeline) -> None:
    """On a service without keys the page makes one that may do everything, shows it once, and sends it."""
    with serving(tiny) as served:
        page = open_page(f"{served.url}/#keys")
        expect(page.locator("#key-list")).to_contain_text("There are no keys")
        page.click("#make-key button[type=submit]")
        expect(page.locator("#new-key-error")).to_have_text("Say who or what the key is for.")
        page.fill("#new-key-name", "home")
        page.click("#make-key button[type=submit]")
        expect(page.locator("#new-key-text")).to_contain_text("cv_")
        expect(page.locator("#key-list strong")).to_have_text(["home"])
        assert page.input_value("#key") == page.locator("#new-key-text").inner_text()
        assert served.speak().status == 401
        open_page.close()


def test_keys_are_made_and_revoked(open_page: Any, tiny: Pipeline) -> None:
    """An admin makes a key with an end and fewer rights, and revokes it after being asked."""
    with serving(tiny) as served:
        admin = key_for(served, Scope.ADMIN)
        page = open_page(f"{served.url}/#keys")
        expect(page.locator("#key-admin")).to_be_hidden()
        give_key(page, admin)
        page.fill("#new-key-name", "Open WebUI")
        page.fill("#new-key-days", "30")
        page.select_option("#new-key-scopes", "speech")
        page.click("#make-key button[type=submit]")
        row = page.locator("#key-list li", has_text="Open WebUI")
        expect(row).to_contain_text("speech · active · until")
        made = page.locator("#new-key-text").inner_text()
        assert served.ask("GET", "/v1/models/tiny", Authorization=f"Bearer {made}").status == 200
        page.once("dialog", lambda dialog: dialog.accept())
        row.get_by_role("button", name="Revoke").click()
        expect(row).to_contain_text("revoked")
        assert served.ask("GET", "/v1/models/tiny", Authorization=f"Bearer {made}").status == 401
        open_page.close()
