"""The environment of the lab's own processes: what they need of the user's, and nothing that would bend them.

A PYTHONPATH with a `pyspark.py`, a PYTHONHOME, JAVA_TOOL_OPTIONS or a SPARK_HOME are meant for other programs, and
would break the cluster. So the names are listed that are kept, not those that are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping

_KEPT = {
    *("HOME", "USER", "LOGNAME", "SHELL", "PATH", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "XDG_CACHE_HOME"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    # Where a processor needs them, numpy computes wrong results without.
    *("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"),
}


def own(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that are kept, and UTF-8 for file names: in the locale C, Java reads and writes them as ASCII."""
    return {name: value for name, value in environment.items() if name in _KEPT} | {"LC_ALL": "C.UTF-8"}
