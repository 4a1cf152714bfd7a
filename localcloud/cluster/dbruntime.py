"""The package ``dbruntime`` of a Databricks runtime, as far as databricks-sdk looks into it.

Where there is one, ``databricks.sdk.runtime`` takes ``dbutils``, ``spark``, ``display``… from it, and so gives modules
the names that notebooks have (databricks/sdk/runtime/__init__.py).
"""

import sys
from typing import Any

from localcloud.cluster.dbutils import DbUtils
from localcloud.cluster.display import Display


class UserNamespaceInitializer:
    """The keeper of a notebook's names."""

    _names: dict[str, Any]

    @classmethod
    def getOrCreate(cls) -> "UserNamespaceInitializer":
        """The keeper of this process."""
        return cls()

    def get_namespace_globals(self) -> dict[str, Any]:
        """The names and what they stand for."""
        return self._names


def install(spark: Any, widgets: dict[str, str]) -> dict[str, Any]:
    """Make a notebook's names, and be ``dbruntime`` in this process from now on.

    spark: the session that they work in; widgets: the values that a job passes
    """
    from pyspark.sql import SQLContext
    from pyspark.sql.functions import udf

    dbutils = DbUtils(spark, widgets)
    # All that databricks.sdk.runtime exports: an import of * from it fails where one is missing.
    UserNamespaceInitializer._names = {
        "spark": spark,
        "sc": spark.sparkContext,
        "sqlContext": SQLContext(spark.sparkContext, spark),
        "sql": spark.sql,
        "table": spark.table,
        "udf": udf,
        "display": Display(spark),
        "displayHTML": print,
        "dbutils": dbutils,
        "getArgument": dbutils.widgets.get,
    }
    sys.modules["dbruntime"] = sys.modules[__name__]
    return UserNamespaceInitializer._names
