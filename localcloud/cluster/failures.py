"""What a task's exception says to its reader."""

import re
import traceback

from localcloud.cluster.redaction import hide

_NO_MOUNT = re.compile(
    r"(?:Empty Mount table in config for viewfs|Could not initialize target File System for URI : abfss)"
    r"://([\w$-]+)@([a-z0-9]+)\.dfs\.core\.windows\.net"
)
_LINE = 1_000  # characters
_LIMIT = 20_000  # characters of a trace


def describe(error: BaseException) -> str:
    """One line: Databricks shows the last line of an exception."""
    text = hide(_java_message(error) or str(error))
    refusal = _storage_refusal(str(error))
    if refusal:
        return refusal
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    first = first if len(first) <= _LINE else first[:_LINE] + "…"
    if isinstance(error, SystemExit):
        return first if isinstance(error.code, str) else f"The task ended with exit code {error.code}."
    name = type(error).__name__
    return f"{name}: {first}" if first else name


def trace(error: BaseException) -> str:
    """The formatted traceback, from the first frame that is the task's own."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__package__") == __package__:
        frames = frames.tb_next
    text = hide("".join(traceback.format_exception(type(error), error, frames)))
    text = re.sub(r"\n[ \t]+(?:at |\.\.\. \d+ more|\.\.\. run in)[^\n]*", "", text)  # the JVM's own frames
    refusal = _storage_refusal(str(error))
    if refusal:
        text += refusal + "\n"
    return text if len(text) <= _LIMIT else text[: _LIMIT // 2] + "\n[…]\n" + text[-_LIMIT // 2 :]


def _java_message(error: BaseException) -> str:
    """The Java exception's own message: py4j, and dbutils with it, put the name of the called method before it."""
    match = re.match(r"An error occurred while calling .+\n: (.+)", str(error))
    return match.group(1) if match else ""


def _storage_refusal(text: str) -> str:
    """An account that the cluster has no mount for, in the words of Azure Storage."""
    match = _NO_MOUNT.search(text)
    if match is None:
        return ""
    container, account = match.groups()
    return (
        'Operation failed: "This request is not authorized to perform this operation using this permission.", 403, '
        f"HEAD, https://{account}.dfs.core.windows.net/{container}?upn=false&action=getAccessControl, "
        f"AuthorizationPermissionMismatch: this cluster has no access to storage account {account}"
    )
