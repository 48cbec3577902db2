"""Errors belong into the widget, where the person is who caused them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import traitlets

from chroma_nb.errors import ChromaNbError

_log = logging.getLogger(__name__)


class Guarded(traitlets.HasTraits):
    """State that keeps what went wrong last.

    Attributes:
        error: what went wrong, with the way out; None when all is well.
    """

    error = traitlets.Unicode(None, allow_none=True)

    def __init__(self, **values: Any) -> None:
        self._failures = 0
        super().__init__(**values)

    @contextmanager
    def guarded(self, *, clear: bool = True) -> Iterator[None]:
        """Put what goes wrong into ``error``, and clear it when all went well.

        Args:
            clear: False leaves an earlier error where it is.
        """
        failures = self._failures
        try:
            yield
        except (ChromaNbError, traitlets.TraitError) as error:
            self._fail(str(error))
        except Exception as error:  # noqa: BLE001 - shown in the widget, and logged with its traceback
            _log.exception("unexpected failure in an explorer")
            self._fail(f"{type(error).__name__}: {error}")
        else:
            if clear and failures == self._failures:  # nor did anything that was guarded inside
                self.error = None

    def _fail(self, message: str) -> None:
        self._failures += 1
        self.error = message
