"""Measures what comes in from outside before any of it is kept: agents' messages, log records, webhooks, requests.

Whatever passes can be stored, read back as JSON, and shown: no number beyond the database's, no NaN, no half character.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from kraken_fleet.listen import Limits, plain_address

LARGEST = 2**63 - 1
_MAX_ADDRESS = 253
_MAX_WORD = 255
# What agents call themselves: an IP address, a host name, or a name such as `agent.3` in Docker Swarm.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class RefusedError(Exception):
    """What came in is more, or something else, than is taken.

    Args:
        status: the HTTP status for it.
        words: what is wrong, in a sentence.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


class NotJsonError(RefusedError):
    """It cannot be read as JSON at all."""


class Intake:
    """The measures.

    Args:
        limits: how much is allowed.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def decode(self, raw: bytes, *, mending: bool = False) -> Any:
        """Return the JSON value of some bytes.

        Args:
            mending: whether the caller mends texts with half a character in them, see `mended`.

        Raises:
            NotJsonError: they are not JSON in UTF-8, or have NaN or Infinity, which is none.
            RefusedError: it is nested too deep, has too many values, or one that cannot be kept.
        """
        try:
            value = _DECODER.decode(raw.decode())
        except RecursionError:
            raise RefusedError(400, f"The JSON is nested deeper than {self._limits.json_depth} levels") from None
        except ValueError as error:
            raise NotJsonError(400, f"This is not JSON: {error}") from None
        self._check(value, mending=mending)
        return value

    def _check(self, value: Any, *, mending: bool) -> None:
        """Look at every value, level by level."""
        level, count = [value], 0
        for _ in range(self._limits.json_depth + 1):
            deeper: list[Any] = []
            for one in level:
                _check_one(one, mending=mending)
                if isinstance(one, dict):
                    for name in one:
                        _check_one(name, mending=mending)
                    deeper += one.values()
                elif isinstance(one, list):
                    deeper += one
            count += len(level)
            if count > self._limits.json_values:
                raise RefusedError(413, f"The JSON has more than {self._limits.json_values} values")
            if not deeper:
                return
            level = deeper
        raise RefusedError(400, f"The JSON is nested deeper than {self._limits.json_depth} levels")

    def host_info(self, info: Any) -> dict[str, Any]:
        """Check what an agent says of its host, and return it.

        Raises:
            KeyError, TypeError: it lacks the system, or is no object.
            RefusedError: it is too large, or its system is no short text.
        """
        found = dict(info)
        if len(json.dumps(found)) > self._limits.host_info_bytes:
            raise RefusedError(413, f"The host info is larger than {self._limits.host_info_bytes} bytes")
        found["system"] = word(found["system"], "system")
        return found


def address(value: Any, peer: str | None) -> str:
    """Return the address that an agent claims; its peer address when it leaves that to the server.

    Raises:
        TypeError: it is no text of a sensible length.
        RefusedError: it is neither an IP address nor a name.
    """
    if value is None:
        value = peer
    if not isinstance(value, str) or len(value) > _MAX_ADDRESS:
        raise TypeError(f"address is not a string of at most {_MAX_ADDRESS} characters")
    plain = plain_address(value)
    if not _NAME.fullmatch(plain) and not _is_ip(plain):
        raise RefusedError(400, "The address is neither an IP address nor a host name")
    return plain


def word(value: Any, name: str) -> str:
    """Check a short text, which can be printed, and return it.

    Raises:
        RefusedError: it is something else.
    """
    if not isinstance(value, str) or len(value) > _MAX_WORD or not value.isprintable():
        raise RefusedError(400, f"{name} is not a printable text of at most {_MAX_WORD} characters")
    return value


def whole(value: Any, name: str, most: int = LARGEST) -> int:
    """Check a whole number from 0 to `most`, and return it.

    Raises:
        RefusedError: it is something else; true and false are no numbers.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise RefusedError(400, f"{name} is not a whole number from 0 to {most}")
    return value


def check_result(result: Mapping[str, Any]) -> None:
    """Check what an agent says of a step that has ended, with its test results. It is kept as it is: agents compare.

    Raises:
        RefusedError: a field that the server reads is not what it should be.
        KeyError, TypeError: a test result lacks something.
    """
    if "reason" in result:
        word(result["reason"], "reason")
    duration = result.get("duration")
    if duration is not None and (isinstance(duration, bool) or not isinstance(duration, int | float) or duration < 0):
        raise RefusedError(400, "duration is not a number of seconds")
    if "test-results" in result:
        for one in items(result, "test-results"):
            _check_test(one)


def _check_test(one: Mapping[str, Any]) -> None:
    command, values = one.get("cmd"), one.get("values")
    if not isinstance(one["test"], str) or not isinstance(command, str | None) or not isinstance(values, dict | None):
        raise RefusedError(400, "A test result has a field of another type")
    whole(one["status"], "status")


def items(message: Mapping[str, Any], name: str) -> list[Any]:
    """Check a list in a message, and return it.

    Raises:
        RefusedError: it is something else.
    """
    value = message[name]
    if not isinstance(value, list):
        raise RefusedError(400, f"{name} is not a list")
    return value


def mended(value: Any) -> str:
    """Return the text of a value, without halves of characters: they are valid JSON, but nothing can write them."""
    return str(value).encode("utf-8", "replace").decode()


def _check_one(value: Any, *, mending: bool) -> None:
    if isinstance(value, str):
        if not mending and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise RefusedError(400, "A text has half of a character in it") from None
    elif isinstance(value, int) and not isinstance(value, bool) and not -LARGEST - 1 <= value <= LARGEST:
        raise RefusedError(400, "A number is larger than can be kept")


def _finite(text: str) -> float:
    # 1e999 is a number in JSON, and Infinity to float().
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is larger than can be kept")
    return number


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)
