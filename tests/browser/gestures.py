"""What a hand does with the mouse on a widget."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Locator, Page

Place = tuple[float, float]  # fractions of an element's width and height, from its top left corner


def drag(element: Locator, path: Sequence[Place], *, steps: int = 4, then: Sequence[Place] = ()) -> None:
    """Press at the first place, move over all of them, let go at the last; then let the mouse wander on.

    Args:
        element: What the places are relative to; it is scrolled into sight.
        path: At least two places.
        steps: Mouse events from one place to the next.
        then: Places that the mouse passes afterwards, with no button pressed.
    """
    page = element.page
    points = _on_page(element, [*path, *then])
    page.mouse.move(*points[0])
    page.mouse.down()
    for x, y in points[1 : len(path)]:
        page.mouse.move(x, y, steps=steps)
    page.mouse.up()
    for x, y in points[len(path) :]:
        page.mouse.move(x, y, steps=steps)


def lasso(
    element: Locator, centre: Place = (0.5, 0.5), radius: Place = (0.3, 0.3), *, corners: int = 24, wander: bool = True
) -> None:
    """Draw an ellipse with the mouse; ``wander``: move on over the element afterwards, as a hand does."""
    angles = [2 * math.pi * step / corners for step in range(corners + 1)]
    path = [(centre[0] + radius[0] * math.cos(angle), centre[1] + radius[1] * math.sin(angle)) for angle in angles]
    drag(element, path, steps=1, then=[(0.4, 0.4), (0.6, 0.5), (0.5, 0.6)] if wander else ())


def click(element: Locator, place: Place) -> None:
    """Click at a place of an element."""
    ((x, y),) = _on_page(element, [place])
    element.page.mouse.click(x, y)


def hover(element: Locator, place: Place) -> None:
    """Move the mouse to a place of an element, in two events as a hand would."""
    ((x, y),) = _on_page(element, [place])
    element.page.mouse.move(x - 2, y - 2)
    element.page.mouse.move(x, y)


def settle(page: Page, milliseconds: float = 300) -> None:
    """Let animations end before a picture is taken. Not for results: wait for those themselves."""
    page.wait_for_timeout(milliseconds)


def _on_page(element: Locator, places: Sequence[Place]) -> list[Place]:
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    assert box is not None, "the element is not on screen"
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
