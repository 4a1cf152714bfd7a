"""A cluster's driver: one Spark JVM for each running cluster, one Python process for each task."""

from localcloud.cluster.driver import Driver, DriverError, TaskHandle
from localcloud.cluster.spec import ClusterSpec, TaskResult, TaskSpec

__all__ = ["ClusterSpec", "Driver", "DriverError", "TaskHandle", "TaskResult", "TaskSpec"]
