"""The settings of `python app.py`: each is a flag, and a variable that begins with `TASKSTREAM_`."""

import re
import sys
from pathlib import Path
from typing import Self, cast

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict

from taskstream.backends import check_database
from taskstream.settings import Settings, SettingsKeywords, shown

NAMES = {
    "cors_origins": (r"\*|null|[a-z][a-z0-9+.-]*://[^/\s]*", "https://example.com, without a path"),
    "allowed_hosts": (r"\*|[^*/:\s]+|\[?([0-9a-f.]*:){2,}[0-9a-f.]*\]?", "example.com, without a port"),
}
"""What each of several names has to be, and an example."""


def split(names: str | None) -> list[str]:
    """The names between the commas."""
    return [name.strip() for name in (names or "").split(",") if name.strip()]


class ServerSettings(BaseSettings, Settings):
    """Start long-running tasks and stream their progress to any number of viewers."""

    model_config = SettingsConfigDict(
        env_prefix="TASKSTREAM_",
        cli_prog_name=Path(sys.argv[0]).name,
        cli_implicit_flags=True,
        cli_kebab_case=True,
        cli_show_env_vars=True,
    )

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    cors_origins: str = Field(
        "*", description="origins whose pages may use the API, separated by commas; * means any"
    )
    allowed_hosts: str | None = Field(
        None, description="names to answer under, separated by commas, beside those of the machine itself"
    )
    access_log: bool = Field(True, description="print a line for each request")

    @field_validator("database")
    @classmethod
    def open_database(cls, database: str | None) -> str | None:
        """A database that can be used, now: so that one that can't is a bad value."""
        if database:
            check_database(database)
        return database

    @field_validator("cors_origins", "allowed_hosts")
    @classmethod
    def check_names(cls, names: str | None, info: ValidationInfo) -> str | None:
        """What a browser can send: anything else would never match."""
        pattern, like = NAMES[str(info.field_name)]
        for name in split(names):
            if not re.fullmatch(pattern, name, re.IGNORECASE):
                raise ValueError(f"{name!r} is not like {like}")
        return names

    @property
    def hosts(self) -> list[str]:
        """The names to answer under as a list."""
        return split(self.allowed_hosts)

    @property
    def origins(self) -> list[str]:
        """The origins as a list."""
        return split(self.cors_origins)

    @property
    def of_tasks(self) -> SettingsKeywords:
        """Those that a `TaskStream` takes."""
        return cast("SettingsKeywords", self.model_dump(include=set(Settings.model_fields)))

    @classmethod
    def load(cls, arguments: list[str] | None = None) -> Self:
        """From the `arguments` of a command line, if there is one, then variables, then defaults.

        A bad value ends the program: one sentence, exit code 2.
        """
        try:
            return cls() if arguments is None else CliApp.run(cls, cli_args=arguments)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            reason = first["msg"].removeprefix("Value error, ").rstrip(".")
            flag, variable = f"--{name.replace('_', '-')}", f"TASKSTREAM_{name.upper()}"
            message = f"{flag} (or {variable}) can't be {shown(first['input'])}: {reason}."
            print(f"{Path(sys.argv[0]).name}: {message}", file=sys.stderr)
            raise SystemExit(2) from None
