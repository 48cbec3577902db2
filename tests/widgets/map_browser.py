"""A stand-in for the front end of a map, and colours for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from chroma_nb_widgets.map.conversation import Conversation, pack
from chroma_nb_widgets.map.interface import Colours, LegendEntry


class Browser:
    """Stands for a front end: hears what is sent, says what a front end would say."""

    def __init__(self, renderer: Conversation, client: str = "one") -> None:
        self.renderer = renderer
        self.client = client
        self.heard: list[tuple[dict[str, Any], list[bytes]]] = []
        self.sequence = 0
        renderer.widget.send = lambda message, buffers=None: self.heard.append((message, list(buffers or [])))

    def say(self, kind: str, *, buffers: list[Any] | None = None, **message: Any) -> None:
        epoch = self.renderer._epoch
        said = {"epoch": epoch, "client": self.client, "kind": kind, **message}
        self.renderer.widget._handle_custom_msg(said, [memoryview(part) for part in buffers or []])

    def select(self, mask: Any, **message: Any) -> None:
        self.sequence += 1
        about = {"sequence": self.sequence, "how": "replace", "polygon": None, **message}
        self.say("select", buffers=[pack(np.asarray(mask, np.bool_))], **about)

    def last(self, kind: str) -> tuple[dict[str, Any], list[bytes]]:
        return [heard for heard in self.heard if heard[0]["kind"] == kind][-1]

    def kinds(self) -> list[str]:
        return [message["kind"] for message, _ in self.heard]


def coloured(codes: list[int], **more: Any) -> Colours:
    legend = tuple(LegendEntry(f"value {code}", "#000000", codes.count(code), code) for code in sorted(set(codes)))
    return Colours(np.array(codes, np.uint16), ("#0072B2", "#E69F00", "#009E73"), "categorical", "x", legend, **more)
