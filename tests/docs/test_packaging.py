"""What the package needs, and what is pinned for the programs, belong together."""

import re
import tomllib

from packaging.requirements import Requirement

import taskstream
from tests.support.programs import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CARD = {
    "fastapi",
    "sse-starlette",
    "uvicorn",
    "aiohttp",
    "sseclient-py",
    "requests",
    "pydantic-settings",
    "rich",
}
INDIRECT = {"anyio", "pydantic", "pydantic-core", "starlette", "urllib3"}
"""What the package imports, but FastAPI and requests choose: pinning it as well would say nothing."""


def bounds(*extras: str) -> dict[str, Requirement]:
    """What an installation with these extras needs."""
    needed = [*PROJECT["dependencies"]]
    for extra in extras:
        needed += PROJECT["optional-dependencies"][extra]
    return {requirement.name: requirement for requirement in map(Requirement, needed)}


def pins(name: str) -> dict[str, Requirement]:
    """What a file of requirements names by itself."""
    lines = re.sub(r"#.*", "", (ROOT / name).read_text(encoding="utf-8")).split("\n")
    requirements = [Requirement(line) for line in lines if line.strip() and not line.startswith("-r")]
    return {requirement.name: requirement for requirement in requirements}


def test_installation() -> None:
    """The package itself needs what the first program of README does, and nothing else."""
    assert bounds().keys() == {"fastapi", "sse-starlette", "rich"} | (INDIRECT - {"urllib3"})
    assert PROJECT["optional-dependencies"].keys() == {"server", "clients", "redis", "metrics"}


def test_same_names() -> None:
    """requirements.txt and the extras for server and clients name the same; so do those for Redis."""
    assert pins("requirements.txt").keys() == CARD == bounds("server", "clients").keys() - INDIRECT
    assert pins("requirements-redis.txt").keys() == bounds("redis").keys() - bounds().keys()


def test_pins_satisfy_bounds() -> None:
    """What is pinned is new enough, has the same extras, and is a compatible release."""
    bound = bounds("server", "clients", "redis", "metrics")
    pinned = pins("requirements.txt") | pins("requirements-redis.txt")
    for name, pin in pinned.items():
        (release,) = pin.specifier
        assert release.operator == "~=", pin
        assert release.version in bound[name].specifier, f"{pin} is older than {bound[name]}"
        assert pin.extras == bound[name].extras


def test_lower_bounds_only() -> None:
    """The package installs beside other things: nothing has an upper bound."""
    for requirement in bounds("server", "clients", "redis", "metrics").values():
        assert {specifier.operator for specifier in requirement.specifier} <= {">="}, requirement


def test_redis_needs_the_others() -> None:
    """requirements-redis.txt is enough for a worker, which imports app.py."""
    assert (
        "-r requirements.txt" in (ROOT / "requirements-redis.txt").read_text(encoding="utf-8").splitlines()
    )


def test_version() -> None:
    """The changelog begins with this version."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", changelog, re.MULTILINE)[0] == taskstream.__version__
