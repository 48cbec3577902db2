"""``%chroma`` and ``%%chroma_sql``: collections without leaving the line.

Errors of ours are one line on stderr, without a traceback, and stop the cell like any other.
"""

from __future__ import annotations

import argparse
import ast
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand

from chroma_nb import Client
from chroma_nb.errors import ChromaNbError, InvalidArgumentError, suggest

_USAGE = """\
%chroma list                         the collections (also: ls)
%chroma peek NAME [N]                the first N rows
%chroma query NAME "text" [-n 5] [--where "{'lang': 'en'}"]
%chroma explore [NAME]               the explorer of a collection, or the browser of all
%chroma use PATH_OR_VARIABLE         which client the others speak of
%%chroma_sql [--into name] [--param key=value]
SELECT ...                           SQL, each collection being a table"""


class _Parser(argparse.ArgumentParser):
    """Reports mistakes instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise InvalidArgumentError(f"{message[0].upper()}{message[1:]}. {self.format_usage().strip()}")


def _parser(name: str, *arguments: tuple[Sequence[str], Mapping[str, Any]]) -> _Parser:
    parser = _Parser(prog=name, add_help=False, allow_abbrev=False)
    for names, options in arguments:
        parser.add_argument(*names, **options)
    return parser


_NAME: tuple[Sequence[str], Mapping[str, Any]] = (("name",), {"metavar": "NAME"})
_PARSERS = {
    "list": _parser("%chroma list"),
    "peek": _parser("%chroma peek", _NAME, (("n",), {"metavar": "N", "type": int, "nargs": "?", "default": 10})),
    "query": _parser(
        "%chroma query",
        _NAME,
        (("text",), {"metavar": "TEXT", "nargs": "+"}),
        (("-n",), {"metavar": "N", "type": int, "default": 5}),
        (("--where",), {"metavar": "DICT", "default": None}),
    ),
    "explore": _parser("%chroma explore", (("name",), {"metavar": "NAME", "nargs": "?"})),
    "use": _parser("%chroma use", (("what",), {"metavar": "PATH_OR_VARIABLE"})),
}
_SQL = _parser(
    "%%chroma_sql",
    (("--into",), {"metavar": "NAME", "default": None}),
    (("--param",), {"metavar": "KEY=VALUE", "action": "append", "default": []}),
)
_COMMANDS = (*_PARSERS, "ls", "help")
_TAKES_NAME = ("peek", "query", "explore")


@magics_class
class ChromaMagics(Magics):
    """The magics; ``client`` is the one that ``%chroma use`` chose."""

    client: Client | None = None

    @no_var_expand
    @line_magic
    def chroma(self, line: str) -> Any:
        """Look at collections; ``%chroma`` alone says how."""
        return _reported(lambda: self._chroma(line))

    @no_var_expand
    @cell_magic
    def chroma_sql(self, line: str, cell: str) -> Any:
        """Run the cell as SQL, each collection being a table; the result is a DataFrame."""
        return _reported(lambda: self._sql(line, cell))

    def _chroma(self, line: str) -> Any:
        words = _words(line)
        if not words or words[0] == "help":
            print(_USAGE)  # noqa: T201 - what a magic is asked for
            return None
        command = {"ls": "list"}.get(words[0], words[0])
        if command not in _PARSERS:
            raise InvalidArgumentError(
                f"There is no %chroma {words[0]}.{suggest(words[0], _COMMANDS)} %chroma says more."
            )
        given = _PARSERS[command].parse_args(words[1:])
        if command == "use":
            return self._use(given.what)
        client = self._client()
        if command == "list":
            return client.list_collections()
        if command == "explore":
            return client.explore() if given.name is None else client[given.name].explore()
        collection = client[given.name]._with_frames()
        if command == "peek":
            return collection.peek(given.n)
        return collection.query(" ".join(given.text), n_results=given.n, where=_literal(given.where, "--where"))

    def _sql(self, line: str, cell: str) -> Any:
        given = _SQL.parse_args(_words(line))
        parameters: dict[str, Any] = {}
        for pair in given.param:
            name, equals, value = pair.partition("=")
            if not equals or not name.isidentifier():
                raise InvalidArgumentError(f"--param takes name=value, such as --param year=2000, got {pair!r}.")
            parameters[name] = self._value(value)
        if given.into is not None and not given.into.isidentifier():
            raise InvalidArgumentError(f"--into takes the name of a variable, got {given.into!r}.")
        found = self._client().sql(cell, parameters)
        if given.into is None:
            return found
        self._shell.user_ns[given.into] = found
        return None

    def _value(self, text: str) -> Any:
        """A parameter: ``$variable``, a Python literal, or else the text itself."""
        if text.startswith("$") and text[1:] in self._shell.user_ns:
            return self._shell.user_ns[text[1:]]
        try:
            return ast.literal_eval(text)
        except (SyntaxError, ValueError):
            return text

    @property
    def _shell(self) -> InteractiveShell:
        assert self.shell is not None  # noqa: S101 - magics are made with one
        return self.shell

    # which client -----------------------------------------------------------------------------

    def _use(self, what: str) -> Client:
        value = self._shell.user_ns.get(what)
        self.client = value if isinstance(value, Client) else Client(what)
        return self.client

    def _clients(self) -> dict[str, Client]:
        """The clients of the notebook's variables, each once."""
        names = self._shell.user_ns_hidden
        found = {
            name: value
            for name, value in list(self._shell.user_ns.items())
            if isinstance(value, Client) and not name.startswith("_") and name not in names
        }
        return {name: value for at, (name, value) in enumerate(found.items()) if value not in list(found.values())[:at]}

    def _client(self) -> Client:
        if self.client is not None:
            return self.client
        clients = self._clients()
        if len(clients) == 1:
            return next(iter(clients.values()))
        if not clients:
            raise InvalidArgumentError("There is no client yet: client = chroma_nb.Client(...), or %chroma use PATH.")
        raise InvalidArgumentError(f"There are several clients: {', '.join(clients)}. Choose one: %chroma use NAME.")

    # completion -------------------------------------------------------------------------------

    def complete(self, line: str) -> list[str]:
        """What may stand at the end of a line with ``%chroma``."""
        before = line.lstrip()[len("%chroma") :].split()
        if line[-1:].isspace() or not before:
            before.append("")
        if len(before) == 1:
            return sorted(_COMMANDS)
        if before[0] == "use":
            return list(self._clients())
        if len(before) > 2 or before[0] not in _TAKES_NAME:
            return []
        try:
            return list(self._client().list_collections().index)
        except ChromaNbError:
            return []  # no client, or a closed one: nothing to offer


def _reported(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except ChromaNbError as error:
        raise UsageError(str(error)) from error


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise InvalidArgumentError(f"The line does not read as words: {error}.") from error


def _literal(text: str | None, option: str) -> Any:
    """A filter typed on the line, as Python or as JSON."""
    if text is None:
        return None
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        import json

        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise InvalidArgumentError(f"{option} takes a dict, such as \"{{'lang': 'en'}}\", got {text}.") from error


_loaded: dict[int, tuple[ChromaMagics, Callable[..., Any]]] = {}


def load(shell: Any) -> None:
    """Register the magics and the completion of their arguments."""
    if id(shell) in _loaded:
        return
    magics = ChromaMagics(shell)
    shell.register_magics(magics)

    def completer(_: Any, event: Any) -> list[str]:
        return magics.complete(event.line[: getattr(event, "cursor_pos", None)])

    shell.set_hook("complete_command", completer, str_key="%chroma")
    _loaded[id(shell)] = magics, completer


def unload(shell: Any) -> None:
    """Take the magics away."""
    found = _loaded.pop(id(shell), None)
    if found is None:
        return
    shell.magics_manager.magics["line"].pop("chroma", None)
    shell.magics_manager.magics["cell"].pop("chroma_sql", None)
    shell.magics_manager.registry.pop("ChromaMagics", None)
    chain = shell.strdispatchers["complete_command"].strs["%chroma"].chain
    chain[:] = [(priority, hook) for priority, hook in chain if getattr(hook, "__func__", hook) is not found[1]]
