"""How many requests a subscription may make (Microsoft Learn: request-limits-and-throttling)."""

import math
import threading
import time
from collections.abc import Callable
from typing import Literal

from localcloud.errors import AzureError

Operation = Literal["read", "write", "delete"]

# Size of the bucket, and tokens that come back in a second, for each principal, subscription and region.
_BUCKETS: dict[Operation, tuple[int, float]] = {"read": (250, 25.0), "write": (200, 10.0), "delete": (200, 10.0)}


class Throttle:
    """A token bucket for each kind of operation. Safe to share between threads. clock: seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        now = clock()
        self._levels = {operation: (float(size), now) for operation, (size, _) in _BUCKETS.items()}

    def take(self, operation: Operation) -> None:
        """Count one request; raises AzureError 429 with the seconds after which the next one is let in."""
        size, speed = _BUCKETS[operation]
        with self._lock:
            level, then = self._levels[operation]
            now = self._clock()
            level = min(float(size), level + (now - then) * speed)
            allowed = level >= 1
            self._levels[operation] = (level - 1 if allowed else level, now)
        if not allowed:
            wait = math.ceil((1 - level) / speed)
            raise AzureError(
                429,
                "SubscriptionRequestsThrottled",
                f"Number of {operation} requests for the subscription exceeded the limit. "
                f"Please try again after '{wait}' seconds.",
                retry_after=wait,
            )
