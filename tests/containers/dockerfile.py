"""A Dockerfile, read: its stages and their instructions."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """What follows one FROM.

    Attributes:
        image: what it begins with, variables as they are written.
        name: what other stages call it; "" if they cannot.
        instructions: (keyword, arguments) in order.
    """

    image: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, keyword: str) -> list[str]:
        """The arguments of every instruction of that name."""
        return [arguments for word, arguments in self.instructions if word == keyword]

    def last(self, keyword: str) -> str:
        """The arguments that hold; KeyError if there are none."""
        found = self.all(keyword)
        if not found:
            raise KeyError(keyword)
        return found[-1]

    def command(self, keyword: str) -> list[str]:
        """A command in the form that needs no shell."""
        parsed = json.loads(self.last(keyword))
        assert isinstance(parsed, list)
        return [str(word) for word in parsed]

    @property
    def environment(self) -> dict[str, str]:
        """What ENV sets."""
        words = [word for arguments in self.all("ENV") for word in shlex.split(arguments)]
        return dict(word.split("=", 1) for word in words)

    @property
    def health_check(self) -> tuple[dict[str, str], list[str]]:
        """The options of HEALTHCHECK and its command."""
        options, _, command = self.last("HEALTHCHECK").partition("CMD ")
        return dict(re.findall(r"--([a-z-]+)=(\S+)", options)), [str(word) for word in json.loads(command)]


def stages(path: Path) -> list[Stage]:
    """Read a Dockerfile; what stands before the first FROM are its arguments' defaults."""
    text = re.sub(r"(?m)^\s*#.*\n", "", path.read_text(encoding="utf-8"))
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    found: list[Stage] = []
    for line in filter(None, map(str.strip, lines)):
        keyword, _, arguments = line.partition(" ")
        if keyword == "FROM":
            image, _, name = arguments.partition(" AS ")
            found.append(Stage(image, name))
        elif found:
            found[-1].instructions.append((keyword, arguments.strip()))
    return found


def defaults(path: Path) -> dict[str, str]:
    """The ARGs that stand before the first FROM."""
    return dict(re.findall(r"(?m)^ARG (\w+)=(\S+)$", path.read_text(encoding="utf-8").split("\nFROM ")[0]))
