"""Makes the schemas from the installed SDKs: `python -m localcloud.providers.schema.generate`.

Run it after an SDK's version was raised; a test compares the files with the SDKs. It reads the types that the SDKs'
own `*Args` classes declare. Takes about ten seconds; the local cloud itself reads only the result.
"""

import collections.abc
import enum
import importlib
import importlib.metadata
import inspect
import json
import typing
from pathlib import Path
from typing import Any

import pulumi
from pulumi import _types

_AZURE = {
    "resources": ["ResourceGroup"],
    "eventhub": ["Namespace", "EventHub", "ConsumerGroup", "EventHubAuthorizationRule"],
    "storage": ["StorageAccount", "BlobContainer", "ManagementPolicy"],
    "databricks": ["Workspace", "AccessConnector"],
    "authorization": ["RoleAssignment"],
    "consumption": ["Budget"],
}
_DATABRICKS = [
    "SecretScope",
    "Secret",
    "SecretAcl",
    "ClusterPolicy",
    "Cluster",
    "Directory",
    "Notebook",
    "WorkspaceFile",
    "Job",
    "Permissions",
    "StorageCredential",
    "ExternalLocation",
    "Grants",
    "User",
]
_PLAIN: dict[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}


class _Builder:
    """Collects the nested types of one package; types that declare the same properties become one."""

    def __init__(self) -> None:
        self.types: dict[str, Any] = {}
        self._names: dict[type, str] = {}
        self._same: dict[str, str] = {}

    def object(self, args: type) -> dict[str, Any]:
        required = {
            name
            for name, parameter in inspect.signature(args.__init__).parameters.items()  # type: ignore[misc]
            if parameter.default is inspect.Parameter.empty
        }
        names = _types.input_type_py_to_pulumi_names(args)
        hints = _types.input_type_types(args)
        return {
            "properties": {name: self.spec(hint) for name, hint in sorted(hints.items())},
            "required": sorted(pulumi_name for name, pulumi_name in names.items() if name in required),
        }

    def spec(self, hint: Any) -> Any:
        choices = [one for one in typing.get_args(hint) if _is_value(one)] if _is_union(hint) else [hint]
        enums = [one for one in choices if isinstance(one, type) and issubclass(one, enum.Enum)]
        if enums:
            return {"enum": [member.value for member in enums[0]]}
        if len(choices) != 1:
            return "any"
        (only,) = choices
        origin = typing.get_origin(only)
        if origin is collections.abc.Sequence:
            return {"array": self.spec(typing.get_args(only)[0])}
        if origin is collections.abc.Mapping:
            return {"map": self.spec(typing.get_args(only)[1])}
        if _types.is_input_type(only):
            return {"type": self._named(only)}
        return _PLAIN.get(only, "any")

    def _named(self, args: type) -> str:
        if args not in self._names:
            module = args.__module__.removesuffix("._inputs").rpartition(".")[2]
            name = f"{module}.{args.__name__.removesuffix('Args')}"
            # Known by its name while its own properties are read: types may contain themselves.
            self._names[args] = name
            declared = self.object(args)
            same = self._same.setdefault(json.dumps(declared), name)
            self._names[args] = same
            if same == name:
                self.types[name] = declared
        return self._names[args]


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) is typing.Union


def _is_value(hint: Any) -> bool:
    origin = typing.get_origin(hint)
    return hint is not type(None) and origin is not collections.abc.Awaitable and origin is not pulumi.Output


def build(package: str) -> dict[str, Any]:
    """The schema of `azure_native` or `databricks`, from the SDK that is installed."""
    builder = _Builder()
    resources: dict[str, Any] = {}
    if package == "azure_native":
        for module, names in _AZURE.items():
            sdk = importlib.import_module(f"pulumi_azure_native.{module}")
            for name in names:
                resources[f"azure-native:{module}:{name}"] = builder.object(getattr(sdk, f"{name}Args"))
    else:
        sdk = importlib.import_module("pulumi_databricks")
        resources["pulumi:providers:databricks"] = builder.object(sdk.ProviderArgs)
        for name in _DATABRICKS:
            lower = name[0].lower() + name[1:]
            resources[f"databricks:index/{lower}:{name}"] = builder.object(getattr(sdk, f"{name}Args"))
    return {
        "version": importlib.metadata.version(f"pulumi_{package}"),
        "resources": resources,
        "types": dict(sorted(builder.types.items())),
    }


def render(document: dict[str, Any]) -> str:
    """JSON with one line for each resource type and nested type, so that a new SDK gives a readable difference."""
    parts = [f'"version": {json.dumps(document["version"])}']
    for section in ("resources", "types"):
        lines = ",\n".join(
            f"  {json.dumps(name)}: {json.dumps(value, separators=(',', ':'))}"
            for name, value in document[section].items()
        )
        parts.append(f'"{section}": {{\n{lines}\n}}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    """Write both files beside this module."""
    for package in ("azure_native", "databricks"):
        Path(__file__).with_name(f"{package}.json").write_text(render(build(package)), encoding="utf-8")


if __name__ == "__main__":
    main()
