"""Names that the source allowed -> names that a collection may have here."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.rules import check_name

_LONGEST = 63


def legal_names(names: Sequence[str]) -> list[str]:
    """For each name itself if it is legal, otherwise one like it that no other collection has.

    >>> legal_names(["docs", "my docs", "x", "my_docs", "my docs"])
    ['docs', 'my_docs-2', 'x_0', 'my_docs', 'my_docs-3']
    """
    taken = {name for name in names if _legal(name)}
    used: set[str] = set()
    found = []
    for name in names:
        if _legal(name) and name not in used:
            chosen = name
        else:
            chosen = base = _alike(name)
            count = 2
            while chosen in taken:
                chosen, count = f"{base[: _LONGEST - 8]}-{count}", count + 1
            taken.add(chosen)
        used.add(chosen)
        found.append(chosen)
    return found


def _alike(name: str) -> str:
    alike = re.sub(r"\.\.+", ".", re.sub(r"[^a-zA-Z0-9._-]", "_", name))[:_LONGEST].strip("._-") or "collection"
    alike = alike if len(alike) > 2 else f"{alike}_0"
    return alike if _legal(alike) else f"collection-{alike}"[:_LONGEST].rstrip("._-")


def _legal(name: str) -> bool:
    try:
        check_name(name)
    except InvalidArgumentError:
        return False
    return True
