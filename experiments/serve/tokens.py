"""The bearer token: given in a file or in the environment, or made where nobody but this machine can ask."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
from pathlib import Path
from typing import Final, NamedTuple

from experiments.serve.config import ServeConfig
from signatures.errors import UsageError

VARIABLE: Final = "TILLER_TOKEN"
_TOKEN: Final = re.compile(r"[!-~]{16,512}")


class Token(NamedTuple):
    """The token; `made`: it was made here, and has to be said."""

    text: str
    made: bool = False


def token_of(config: ServeConfig) -> Token:
    """The token that requests must bear. Raises UsageError: none given where others can ask, or a bad one."""
    if config.token_file is not None:
        return Token(_checked(_read(Path(config.token_file)), config.token_file))
    given = os.environ.get(VARIABLE)
    if given is not None:
        return Token(_checked(given, VARIABLE))
    if not is_loopback(config.host):
        raise UsageError(f"{config.host} can be reached from elsewhere: give a token, in {VARIABLE} or by --token-file")
    return Token(secrets.token_urlsafe(32), made=True)


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to an address; a name other than localhost may be anything."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file {path}: cannot be read: {error}") from error


def _checked(token: str, source: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise UsageError(f"{source}: a token has 16 to 512 visible ASCII characters and no space")
    return token
