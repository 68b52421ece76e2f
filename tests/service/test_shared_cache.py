"""What is kept of the database: right at once in this process, within a second in others, through outages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cosyrt.service.errors import StoreUnavailable
from cosyrt.service.schema import Topic
from cosyrt.service.shared_cache import CHECK_S, KEEP_S, SharedCache
from cosyrt.service.store import Store, mark_changed


class Reads:
    """Counts how often each key is read, and can fail as a database does that is gone."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.value = 1

    def __call__(self, key: str) -> int:
        self.read.append(key)
        return self.value


class Time:
    """Monotonic time that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def reads() -> Reads:
    return Reads()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def cache(store: Store, reads: Reads, time: Time) -> Iterator[SharedCache[str, int]]:
    """A cache of keys, that holds two values."""
    return SharedCache(store, Topic.KEYS, reads, most=2, clock=time)


def change(store: Store) -> None:
    store.write(lambda session: mark_changed(session, Topic.KEYS))


def break_off(store: Store, patch: pytest.MonkeyPatch) -> None:
    """Let the database answer nobody from now on."""

    def fail(*_: object) -> int:
        raise StoreUnavailable("gone")

    patch.setattr(store, "read", fail)


def test_a_value_is_read_once(cache: SharedCache[str, int], reads: Reads, time: Time) -> None:
    """Within a second nothing is asked of the database; after it, only whether something has changed."""
    assert cache.fresh("a") is None
    assert [cache.get("a"), cache.get("a"), cache.fresh("a")] == [1, 1, 1]
    time.now += CHECK_S
    assert cache.fresh("a") is None
    assert cache.get("a") == 1
    assert reads.read == ["a"]


def test_a_change_elsewhere_is_known_within_a_second(
    cache: SharedCache[str, int], reads: Reads, time: Time, store: Store, database: str
) -> None:
    """Another process changes the topic: the value is read again at the next look, not before."""
    assert cache.get("a") == 1
    reads.value = 2
    with Store(database) as other:
        change(other)
    assert cache.get("a") == 1
    time.now += CHECK_S
    assert cache.get("a") == 2


def test_a_change_of_this_process_is_known_at_once(cache: SharedCache[str, int], reads: Reads) -> None:
    """After `clear` the next question reads again."""
    assert cache.get("a") == 1
    reads.value = 2
    cache.clear()
    assert (cache.fresh("a"), cache.get("a")) == (None, 2)


def test_what_is_read_after_a_change_outlives_the_database(
    cache: SharedCache[str, int], reads: Reads, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of this process does not keep what is read next from being remembered, not for a moment."""
    assert cache.get("a") == 1
    reads.value = 2
    cache.clear()
    assert cache.get("a") == 2
    break_off(store, monkeypatch)
    assert cache.get("a") == 2


def test_a_value_that_is_read_while_it_changes_is_not_kept(store: Store, time: Time) -> None:
    """A reading that began before a change is given out once, and never again."""

    def load(key: str) -> str:
        cache.clear()  # as another thread does that has just changed it
        return "old"

    cache: SharedCache[str, str] = SharedCache(store, Topic.KEYS, load, clock=time)
    assert cache.get("a") == "old"
    assert cache.fresh("a") is None


def test_values_outlive_the_database_for_half_a_minute(
    cache: SharedCache[str, int], time: Time, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database is gone what was known stays in use for a while; what was not known is refused."""
    cache.get("a")
    break_off(store, monkeypatch)
    time.now += KEEP_S - 1
    assert cache.get("a") == 1
    time.now += 1
    with pytest.raises(StoreUnavailable):
        SharedCache(store, Topic.KEYS, lambda key: store.version(Topic.KEYS), clock=time).get("a")
    monkeypatch.undo()
    time.now += CHECK_S
    assert cache.get("a") == 1


def test_what_is_too_old_is_not_used(store: Store, time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """After half a minute without the database a value is asked for again, and refused."""
    cache: SharedCache[str, int] = SharedCache(
        store, Topic.KEYS, lambda _: store.version(Topic.KEYS), clock=time
    )
    assert cache.get("a") == 0
    break_off(store, monkeypatch)
    time.now += KEEP_S
    with pytest.raises(StoreUnavailable):
        cache.get("a")


def test_the_least_used_value_is_dropped(cache: SharedCache[str, int], reads: Reads) -> None:
    """The cache holds so many values and no more."""
    for key in "abac":
        cache.get(key)
    assert cache.get("a") == 1
    cache.get("b")
    assert reads.read == ["a", "b", "c", "b"]
