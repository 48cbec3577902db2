"""``chroma-nb serve``: a directory as a server."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from chroma_nb.errors import AuthorizationError, InvalidArgumentError, MissingDependencyError
from chroma_nb.rest.options import LOOPBACK, MIB, ServerOptions

TOKEN = "CHROMA_NB_TOKEN"  # noqa: S105 - the name of a variable
_GRACE_SECONDS = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("path", type=Path, metavar="PATH", help="the directory of the store; made if it is missing")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=8000, help="port; 0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--token",
        metavar="T",
        help=f"what clients must send. Other users of this machine see it in lists of processes: better set {TOKEN}",
    )
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="listen on other addresses without a token; name with --allow-host what clients call this machine, or "
        "else pages of anywhere can read here, if somebody opens them in a browser of that network",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="H",
        help="a name that clients may call this server by, without the port; others are then refused; may be given "
        "several times",
    )
    parser.add_argument("--allow-reset", action="store_true", help="let clients delete everything with reset()")
    parser.add_argument(
        "--allow-sql",
        action="store_true",
        help="let clients, which have to be trusted, read with SQL (raw_sql): a statement sees all collections, and "
        "has a process, 60 s and on Linux 2 GiB for itself",
    )
    parser.add_argument(
        "--cors-origin",
        action="append",
        default=[],
        metavar="O",
        help="let pages of this origin call the server, such as http://localhost:3000; may be given several times",
    )
    _add_limits(parser)
    parser.add_argument(
        "--client-version",
        default=ServerOptions().client_version,
        metavar="V",
        help="of the Chroma whose Python clients call, if that is older than 0.3.23: those refuse lists of collections "
        "that hold more than they know (%(default)s)",
    )
    parser.add_argument("--quiet", action="store_true", help="no access log (one line of JSON a request, on stderr)")


def _add_limits(parser: argparse.ArgumentParser) -> None:
    usual = ServerOptions()
    for name, default, of_what in (
        ("--max-batch-size", usual.max_batch_size, "items"),
        ("--max-body-mib", usual.max_body_bytes // MIB, "MiB"),
        ("--max-results", usual.max_results, "of a query"),
        ("--max-concurrent", usual.max_concurrent, "requests"),
    ):
        parser.add_argument(name, type=_positive, default=default, metavar="N", help=f"{of_what} (%(default)s)")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a limit is a whole number from 1 on, got {text!r}")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:  # more would be taken modulo 65536
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, got {text!r}")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Serve until told to stop.

    Raises:
        AuthorizationError: another address than loopback, and no token.
        MissingDependencyError: the extra ``server`` is not installed.
        StoreError: the directory cannot be used.
        OSError: the address cannot be used.
    """
    chosen = server_options(options)
    try:
        from chroma_nb.rest.running import Running
    except ImportError as error:
        raise MissingDependencyError.for_feature("chroma-nb serve", error.name or "fastapi", "server") from error
    from chroma_nb.sharing import open_store

    with _listening(options.host, options.port) as listener:
        store = open_store(options.path)
        try:
            address = f"http://{_shown(options.host)}:{listener.getsockname()[1]}"
            _log_to_stderr(access=not options.quiet)
            with _stopped_by_signals():
                Running(store, chosen, f"chroma_nb serves {options.path} at {address} (Ctrl-C stops)").run(
                    listener, grace=_GRACE_SECONDS
                )
        finally:
            store.close()
    return 0


def server_options(options: argparse.Namespace) -> ServerOptions:
    """What the arguments and the environment ask for, if it is safe.

    Raises:
        AuthorizationError: another address than loopback, and no token.
        InvalidArgumentError: a token that no header can carry, or a version that is none.
    """
    token = options.token if options.token is not None else os.environ.get(TOKEN)
    if token is not None and (not token or not token.isascii() or not token.isprintable() or " " in token):
        raise InvalidArgumentError("A token is printable ASCII without spaces, and not empty.")
    loopback = _is_loopback(options.host)
    if token is None and not loopback and not options.insecure:
        raise AuthorizationError(
            f"Whoever reaches {options.host} could read and change everything. Set a token in {TOKEN} (or with "
            "--token), or say --insecure if the network itself keeps others out."
        )
    return ServerOptions(
        token=token,
        allow_reset=options.allow_reset,
        allow_sql=options.allow_sql,
        cors_origins=tuple(options.cors_origin),
        hosts=_hosts(options, token),
        max_batch_size=options.max_batch_size,
        max_body_bytes=options.max_body_mib * MIB,
        max_results=options.max_results,
        max_concurrent=options.max_concurrent,
        client_version=options.client_version,
    )


def _hosts(options: argparse.Namespace, token: str | None) -> frozenset[str] | None:
    if options.allow_host or _is_loopback(options.host):
        return LOOPBACK | {name.lower().strip("[]") for name in (options.host, *options.allow_host)}
    return None if token is not None else frozenset({"*"})


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _listening(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    try:
        return socket.create_server(address[:2], family=family, backlog=1024)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {_shown(host)}:{port}: {error.strerror}") from error


def _log_to_stderr(*, access: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for name, level in (
        ("chroma_nb.rest.access", logging.INFO if access else logging.CRITICAL),
        ("chroma_nb.rest", logging.INFO),
        ("uvicorn.error", logging.WARNING),
    ):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Uvicorn stops on a signal and then sends it again, which would end the process before the store is closed."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        return
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
