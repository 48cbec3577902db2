"""A reader of the pickles that Chroma writes: dicts of texts and whole numbers. It runs nothing and makes nothing else.

Chroma 0.4 to 0.6 pickles an object whose attributes are such dicts (protocol 5), Chroma 1.x the dict itself
(protocol 3). The opcodes and their arguments are those of the standard library's ``pickletools``. What any other
opcode asks for is refused, and so are classes other than that one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from chroma_nb.errors import CorruptStoreError

_CLASS = ("chromadb.segment.impl.vector.local_persistent_hnsw", "PersistentData")
_MOST_CONTAINERS = 64  # there are five; each takes much more memory than its one byte in the file
_LONGEST_INTEGER = 8  # bytes: of labels and numbers of the log
_MARK: Final = object()
_KEYS = frozenset({str, int})
_VALUES = frozenset({dict, str, int, float, bool, type(None)})


class _Made:
    """Stands for the one class and its object; whoever reads the file wants its attributes."""

    def __init__(self) -> None:
        self.state: object = None


def read_pickle(content: bytes) -> object:
    r"""What was pickled; an object of Chroma's class as the dict of its attributes.

    Args:
        content: the bytes of a pickle of protocol 2 to 5.

    Returns:
        A dict, text, whole number, bool or None.

    Raises:
        CorruptStoreError: it is torn, or asks for anything else: a foreign class, a call, another kind of value.

    >>> read_pickle(b"\x80\x02}q\x00X\x01\x00\x00\x00aK\x07s.")
    {'a': 7}
    >>> read_pickle(b"cos\nsystem\n(S'ls'\ntR.")
    Traceback (most recent call last):
    ...
    chroma_nb.errors.CorruptStoreError: it asks for os.system, which is no part of Chroma's data
    """
    machine = _Machine(content)
    try:
        return machine.run()
    except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise CorruptStoreError(f"it is torn or no pickle (at byte {machine.at:,} of {len(content):,})") from error


class _Machine:
    def __init__(self, content: bytes) -> None:
        self.at = 0
        self._content = content
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._containers = 0

    def run(self) -> object:
        content, opcodes = self._content, _OPCODES
        while True:
            code = content[self.at]
            self.at += 1
            if code == _STOP:
                break
            handler = opcodes.get(code)
            if handler is None:
                raise CorruptStoreError(f"it holds what Chroma does not write there (opcode {code:#04x})")
            handler(self)
        found = self._stack.pop()
        found = found.state if isinstance(found, _Made) else found
        if type(found) not in _VALUES:
            raise TypeError
        return found

    # reading ----------------------------------------------------------------------------------

    def _take(self, length: int) -> bytes:
        start = self.at
        part = self._content[start : start + length]
        if length < 0 or len(part) != length:
            raise ValueError(length)
        self.at = start + length
        return part

    def _number(self, length: int) -> int:
        return int.from_bytes(self._take(length), "little")

    def _line(self) -> str:
        end = self._content.index(b"\n", self.at)
        line = self._take(end - self.at).decode("ascii")
        self.at += 1
        return line

    def _protocol(self) -> None:
        self._take(1)

    def _frame(self) -> None:
        if self._number(8) > len(self._content) - self.at:
            raise ValueError(self.at)

    # values -----------------------------------------------------------------------------------

    def _text(self, width: int) -> None:
        self._stack.append(str(self._take(self._number(width)), "utf-8", "surrogatepass"))

    def _unsigned(self, width: int) -> None:
        self._stack.append(self._number(width))

    def _signed(self) -> None:
        self._stack.append(int.from_bytes(self._take(4), "little", signed=True))

    def _long(self) -> None:
        length = self._number(1)
        if length > _LONGEST_INTEGER:
            raise ValueError(length)
        self._stack.append(int.from_bytes(self._take(length), "little", signed=True))

    def _float(self) -> None:
        self._stack.append(struct.unpack(">d", self._take(8))[0])

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _container(self, made: dict[Any, Any] | _Made) -> None:
        self._containers += 1
        if self._containers > _MOST_CONTAINERS:
            raise ValueError(self._containers)
        self._stack.append(made)

    # dicts ------------------------------------------------------------------------------------

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set({key: value})

    def _set_items(self) -> None:
        stack = self._stack
        at = len(stack) - 1
        while stack[at] is not _MARK:
            at -= 1
        items = stack[at + 1 :]
        del stack[at:]
        self._set(dict(zip(items[::2], items[1::2], strict=True)))

    def _set(self, items: dict[Any, Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict or not _KEYS.issuperset(map(type, items)):
            raise TypeError
        if not _VALUES.issuperset(map(type, items.values())):
            raise TypeError
        target.update(items)

    # memory -----------------------------------------------------------------------------------

    def _memoize(self) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _put(self, width: int) -> None:
        self._memo[self._number(width)] = self._stack[-1]

    def _get(self, width: int) -> None:
        self._stack.append(self._memo[self._number(width)])

    # the one class ----------------------------------------------------------------------------

    def _class(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._known(module, name)

    def _class_in_text(self) -> None:
        module, name = self._line(), self._line()
        self._known(module, name)

    def _known(self, module: object, name: object) -> None:
        if (module, name) != _CLASS:
            raise CorruptStoreError(f"it asks for {module}.{name}, which is no part of Chroma's data")
        self._container(_Made())

    def _new(self) -> None:
        arguments = self._stack.pop()
        if arguments != () or not isinstance(self._stack[-1], _Made):
            raise TypeError

    def _build(self) -> None:
        state = self._stack.pop()
        if not isinstance(self._stack[-1], _Made) or type(state) is not dict:
            raise TypeError
        self._stack[-1].state = state


_Handler: TypeAlias = Callable[[_Machine], None]
_STOP = ord(".")
_OPCODES: dict[int, _Handler] = {
    0x80: _Machine._protocol,
    0x95: _Machine._frame,
    ord("X"): lambda machine: machine._text(4),
    0x8C: lambda machine: machine._text(1),
    0x8D: lambda machine: machine._text(8),
    ord("J"): _Machine._signed,
    ord("K"): lambda machine: machine._unsigned(1),
    ord("M"): lambda machine: machine._unsigned(2),
    0x8A: _Machine._long,
    ord("G"): _Machine._float,
    ord("N"): lambda machine: machine._push(None),
    0x88: lambda machine: machine._push(True),
    0x89: lambda machine: machine._push(False),
    ord("("): lambda machine: machine._push(_MARK),
    ord(")"): lambda machine: machine._push(()),
    ord("}"): lambda machine: machine._container({}),
    ord("s"): _Machine._set_item,
    ord("u"): _Machine._set_items,
    0x94: _Machine._memoize,
    ord("q"): lambda machine: machine._put(1),
    ord("r"): lambda machine: machine._put(4),
    ord("h"): lambda machine: machine._get(1),
    ord("j"): lambda machine: machine._get(4),
    0x93: _Machine._class,
    ord("c"): _Machine._class_in_text,
    0x81: _Machine._new,
    ord("b"): _Machine._build,
}
