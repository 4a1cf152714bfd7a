"""The way to the local cloud past the proxies that a user's environment names."""

from __future__ import annotations

from collections.abc import Mapping

_HOSTS = ("127.0.0.1", "localhost")
_VARIABLES = ("no_proxy", "NO_PROXY")


def past_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """`no_proxy` and `NO_PROXY` of this environment with this machine in them.

    gRPC reads the one, other programs prefer either; who has set only one meant both. A `*` stays alone: Python knows
    no list with it.
    """
    given = {name: environment.get(name, "") for name in _VARIABLES}
    wanted = {}
    for name in _VARIABLES:
        hosts = [host.strip() for host in (given[name] or "".join(given.values())).split(",") if host.strip()]
        wanted[name] = ",".join(hosts if "*" in hosts else dict.fromkeys([*hosts, *_HOSTS]))
    return wanted
