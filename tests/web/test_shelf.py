"""What is kept made is what was made last, for as long as it may be, and never more than there is room for."""

from __future__ import annotations

from banyan_web.shelf import Shelf


def test_the_oldest_goes_first_and_nothing_outlives_its_time() -> None:
    now = [0.0]
    shelf: Shelf[int, int] = Shelf(3, 5.0, lambda: now[0])
    for n in range(5):
        shelf.put(n, n * n)
    assert [shelf.get(n) for n in range(5)] == [None, None, 4, 9, 16]
    now[0] = 5.0
    shelf.put(3, 10)
    now[0] = 6.0
    assert [shelf.get(n) for n in (2, 3, 4)] == [None, 10, None]
    assert len(shelf) == 3
    lasting: Shelf[str, str] = Shelf(1)
    lasting.put("a", "b")
    assert lasting.get("a") == "b"
