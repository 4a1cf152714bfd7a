"""Work that need not wait for other work."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")


def all_at_once(work: Callable[[_Item], object], items: Collection[_Item]) -> None:
    """Do the work for all items at the same time, and wait for all; raises what the first failing one raised.

    Drivers and brokers each take seconds to end, and who stops the cloud does not wait for long.
    """
    with ThreadPoolExecutor(max(1, len(items))) as threads:
        list(threads.map(work, items))
