"""What the image and the compose file promise, read from them: no engine is needed."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.containers.dockerfile import defaults, stages

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
COMPOSE = ROOT / "docker-compose.yml"

pytestmark = pytest.mark.skipif(not DOCKERFILE.exists(), reason="the container's files are in the repository only")


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    """The one service of the compose file."""
    found = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    assert list(found) == ["chroma-nb"]
    service: dict[str, Any] = found["chroma-nb"]
    return service


def test_the_compiler_stays_behind() -> None:
    build, final = stages(DOCKERFILE)
    assert build.image == final.image == "${PYTHON_IMAGE}"
    assert any("g++" in line for line in build.all("RUN"))
    assert not [line for line in final.all("RUN") if re.search(r"apt|pip|g\+\+", line)]
    assert [line for line in final.all("COPY") if not line.startswith(f"--from={build.name} ")] == []


def test_the_image_runs_on_any_processor() -> None:
    assert stages(DOCKERFILE)[0].environment["HNSWLIB_NO_NATIVE"] == "1"


def test_images_come_from_no_named_host() -> None:
    named = [*defaults(DOCKERFILE).values(), *(yaml.safe_load(COMPOSE.read_text())["services"]["chroma-nb"]["image"],)]
    assert len(named) == 2
    assert [image for image in named if not re.fullmatch(r"[a-z-]+(:[\w.-]+)?", image)] == []


def test_the_user_is_not_root_and_owns_the_data() -> None:
    final = stages(DOCKERFILE)[1]
    user, _, group = final.last("USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert f"install -d -o {user} -g {group} -m 0700 {final.last('VOLUME')}" in final.all("RUN")
    assert final.instructions.index(("USER", final.last("USER"))) > max(
        at for at, (word, _) in enumerate(final.instructions) if word in ("RUN", "COPY")
    )


def test_what_is_copied_is_there_and_enough() -> None:
    """All that the wheel is made of gets into the build, and nothing else that is in the tree."""
    copied = [line.split()[:-1] for line in stages(DOCKERFILE)[0].all("COPY")]
    sources = {source for line in copied for source in line}
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [source for source in sources if _ignored(source)] == []
    assert [name for name in (".git", "tests", ".env", "db", "widgets/js") if not _ignored(name)] == []
    needed = {"pyproject.toml", "README.md", "LICENSE", "chroma_nb", "widgets/chroma_nb_widgets", "notebooks"}
    assert sources == needed


def _ignored(path: str) -> bool:
    """As .dockerignore says; the last line that matches counts, for what is in a folder too."""
    verdict = False
    parents = [path, *map(str, Path(path).parents)][:-1]
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").removeprefix("**/")
            if any(fnmatch.fnmatchcase(parent, pattern) for parent in parents):
                verdict = not line.startswith("!")
    return verdict


def test_compose_serves_what_the_image_serves(service: dict[str, Any]) -> None:
    final = stages(DOCKERFILE)[1]
    command = final.command("ENTRYPOINT")
    assert command[:3] == ["chroma-nb", "serve", final.last("VOLUME")]
    port = command[command.index("--port") + 1]
    assert final.last("EXPOSE") == port
    assert service["ports"] == [f"${{CHROMA_NB_BIND:-127.0.0.1}}:${{CHROMA_NB_PORT:-8000}}:{port}"]
    volumes = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["volumes"]
    assert service["volumes"] == [f"{next(iter(volumes))}:{final.last('VOLUME')}"]
    assert f":{port}/" in " ".join(final.health_check[1])


def test_compose_gives_the_container_little(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    final = stages(DOCKERFILE)[1]
    written = {final.environment[name] for name in ("HOME", "NUMBA_CACHE_DIR")}
    assert all(place == "/tmp" or place.startswith("/tmp/") for place in written)  # noqa: S108 - in the container
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108


def test_compose_lets_calls_finish_and_starts_again(service: dict[str, Any]) -> None:
    assert service["restart"] == "unless-stopped"
    assert service["stop_grace_period"] == "70s"
    assert stages(DOCKERFILE)[1].last("STOPSIGNAL") == "SIGTERM"


@pytest.fixture(scope="module")
def compose() -> list[str]:
    """The compose program of this machine."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True).returncode == 0:
        return [docker, "compose"]
    pytest.skip("neither docker-compose nor docker compose is installed")


def _config(compose: list[str], **settings: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CHROMA_NB_")}
    command = [*compose, "-f", str(COMPOSE), "config"]
    return subprocess.run(command, capture_output=True, text=True, env=plain | settings, timeout=60)


@pytest.mark.slow
def test_compose_accepts_the_file(compose: list[str]) -> None:
    done = _config(compose, CHROMA_NB_TOKEN="a secret", CHROMA_NB_PORT="9000")  # noqa: S106 - made up
    assert done.returncode == 0, done.stderr
    resolved = yaml.safe_load(done.stdout)["services"]["chroma-nb"]
    assert resolved["environment"] == {"CHROMA_NB_TOKEN": "a secret"}
    ports = re.sub(r"\s", "", str(resolved["ports"]))  # in two spellings, by version
    assert "127.0.0.1" in ports
    assert "9000" in ports


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"CHROMA_NB_TOKEN": ""}], ids=["unset", "empty"])
def test_compose_fails_without_a_token(compose: list[str], settings: dict[str, str]) -> None:
    done = _config(compose, **settings)
    assert done.returncode != 0
    assert "Set CHROMA_NB_TOKEN to a long random text" in done.stderr
