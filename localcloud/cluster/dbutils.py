"""``dbutils``, as notebooks and the modules of a wheel have it."""

from functools import cached_property
from typing import Any

from localcloud.cluster.fs import FileUtils


class DbUtils:
    """``dbutils.fs``, ``dbutils.secrets`` and ``dbutils.widgets``."""

    def __init__(self, spark: Any, widgets: dict[str, str]) -> None:
        self.fs = FileUtils(spark)
        self.widgets = Widgets(widgets)

    @cached_property
    def secrets(self) -> Any:
        """Secrets over the workspace's REST API; its address and token are in the environment."""
        from databricks.sdk.dbutils import RemoteDbUtils

        return RemoteDbUtils().secrets

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"dbutils.{name} is not known on the local cloud; dbutils has fs, secrets and widgets")


class Widgets:
    """Input widgets: a value that the job passes wins over the default."""

    def __init__(self, values: dict[str, str]) -> None:
        self._passed = dict(values)
        self._defaults: dict[str, str] = {}

    def text(self, name: str, defaultValue: str, label: str | None = None) -> None:
        """Make a text widget."""
        self._defaults[name] = str(defaultValue)

    def dropdown(self, name: str, defaultValue: str, choices: list[str], label: str | None = None) -> None:
        """Make a widget whose default must be one of its choices."""
        if defaultValue not in choices:
            raise ValueError(f"widget {name}: the default {defaultValue} is not among its choices")
        self._defaults[name] = str(defaultValue)

    combobox = multiselect = dropdown

    def get(self, name: str) -> str:
        """The widget's value."""
        try:
            return (self._defaults | self._passed)[name]
        except KeyError:
            raise ValueError(f"InputWidgetNotDefined: No input widget named {name} is defined") from None

    def getAll(self) -> dict[str, str]:
        """All widgets' values."""
        return self._defaults | self._passed

    def remove(self, name: str) -> None:
        """Remove one widget."""
        self._defaults.pop(name, None)

    def removeAll(self) -> None:
        """Remove all widgets."""
        self._defaults.clear()
