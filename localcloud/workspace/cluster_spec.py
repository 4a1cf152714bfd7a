"""What a cluster may look like: the rules by which Databricks refuses one before it exists."""

import re

from localcloud.errors import DatabricksError
from localcloud.workspace import fields
from localcloud.workspace.errors import invalid, unsupported
from localcloud.workspace.node_types import NODE_TYPES, SPARK_VERSIONS
from localcloud.workspace.shelf import Record

FIELDS: fields.Types = {
    "cluster_name": str, "spark_version": str, "node_type_id": str, "driver_node_type_id": str, "num_workers": int,
    "autoscale": dict, "autotermination_minutes": int, "spark_conf": dict, "spark_env_vars": dict, "custom_tags": dict,
    "azure_attributes": dict, "policy_id": str, "apply_policy_default_values": bool, "data_security_mode": str,
    "single_user_name": str, "is_single_node": bool, "kind": str, "runtime_engine": str, "use_ml_runtime": bool,
    "enable_elastic_disk": bool, "enable_local_disk_encryption": bool,
}  # fmt: skip
_UNSUPPORTED = ("instance_pool_id", "driver_instance_pool_id", "init_scripts", "docker_image", "cluster_log_conf")
_MODES = {
    "NONE": "NONE",
    "SINGLE_USER": "SINGLE_USER",
    "USER_ISOLATION": "USER_ISOLATION",
    "DATA_SECURITY_MODE_DEDICATED": "SINGLE_USER",
    "DATA_SECURITY_MODE_STANDARD": "USER_ISOLATION",
    "DATA_SECURITY_MODE_AUTO": "SINGLE_USER",
}
_AVAILABILITY = ("ON_DEMAND_AZURE", "SPOT_AZURE", "SPOT_WITH_FALLBACK_AZURE")
_PROFILE = "spark.databricks.cluster.profile"
_SINGLE_NODE_CONF = {_PROFILE: "singleNode", "spark.master": "local[*]"}
_SINGLE_NODE_TAGS = {"ResourceClass": "SingleNode"}


def access_mode(spec: Record) -> str:
    """NONE, SINGLE_USER (dedicated) or USER_ISOLATION (standard), whichever way it is written."""
    return _MODES[spec.get("data_security_mode") or "NONE"]


def completed(spec: Record) -> Record:
    """The settings as the service answers them: a single node by `kind` gets the older form's settings as well."""
    # terraform-provider-databricks#4360, databricks/cli#3286
    if not spec.get("is_single_node"):
        return {**spec}
    return {
        **spec,
        "spark_conf": {**(spec.get("spark_conf") or {}), **_SINGLE_NODE_CONF},
        "custom_tags": {**(spec.get("custom_tags") or {}), **_SINGLE_NODE_TAGS},
    }


def check(spec: Record) -> None:
    """Refuse, with the service's codes and texts, what it would not start."""
    for name in _UNSUPPORTED:
        if spec.get(name):
            raise unsupported(f"Cluster field '{name}'")
    check_types(spec)
    for name in ("spark_version", "node_type_id"):
        if not spec.get(name):
            raise invalid(f"Missing required field '{name}'")
    for name in ("node_type_id", "driver_node_type_id"):
        if spec.get(name) and spec[name] not in NODE_TYPES:
            raise invalid(f"Node type {spec[name]} is not supported. Supported node types: {', '.join(NODE_TYPES)}")
    if spec["spark_version"] not in SPARK_VERSIONS:
        raise invalid(f"Invalid spark version {spec['spark_version']}.")
    check_autotermination(spec.get("autotermination_minutes"))
    _check_access_mode(spec)
    _check_size(spec)
    _check_azure(spec.get("azure_attributes") or {})
    for name in ("spark_conf", "spark_env_vars", "custom_tags"):
        for key, value in (spec.get(name) or {}).items():
            if not isinstance(value, str):
                raise invalid(f"{name}: the value of '{key}' must be a string.")
    for variable in spec.get("spark_env_vars") or {}:
        if not re.fullmatch(r"[A-Za-z_]\w*", variable, re.ASCII):
            raise invalid(f"spark_env_vars: '{variable}' is no name of an environment variable.")


def check_types(spec: Record) -> None:
    """Refuse a field of another JSON type."""
    fields.check(spec, FIELDS, "Cluster field")


def check_autotermination(minutes: int | None) -> None:
    """0 switches it off, else 10 to 10000 minutes."""
    if minutes and not 10 <= minutes <= 10000:
        raise invalid(f"The cluster autotermination_minutes must be 0 or between 10 and 10000 minutes, not {minutes}.")


def _check_access_mode(spec: Record) -> None:
    mode = spec.get("data_security_mode")
    if mode and mode not in _MODES:
        raise invalid(f"data_security_mode '{mode}' is none of {', '.join(_MODES)}.")
    kind = spec.get("kind")
    if kind not in (None, "CLASSIC_PREVIEW"):
        raise invalid(f"kind '{kind}' is not supported: use CLASSIC_PREVIEW.")
    if mode == "DATA_SECURITY_MODE_AUTO" and not kind:
        raise invalid("data_security_mode DATA_SECURITY_MODE_AUTO requires kind CLASSIC_PREVIEW.")
    for name in ("is_single_node", "use_ml_runtime"):
        if spec.get(name) is not None and not kind:
            raise invalid(f"{name} can only be used with kind CLASSIC_PREVIEW.")
    if kind and _PROFILE in (spec.get("spark_conf") or {}):
        raise invalid(f"Spark Conf: `{_PROFILE}` is not allowed when choosing an access mode")
    if spec.get("single_user_name") and access_mode(spec) != "SINGLE_USER":
        raise invalid("single_user_name can only be set with a dedicated (SINGLE_USER) data_security_mode.")


def _check_size(spec: Record) -> None:
    workers, scale = spec.get("num_workers"), spec.get("autoscale")
    if spec.get("is_single_node"):
        if workers or scale:
            raise invalid("A cluster with is_single_node has no workers: leave num_workers and autoscale out.")
        return
    if scale:
        low, high = scale.get("min_workers", 0), scale.get("max_workers", 0)
        if not 1 <= low <= high:
            raise invalid(f"autoscale: 1 <= min_workers <= max_workers must hold, not {low} and {high}.")
        return
    if workers is None:
        raise DatabricksError(400, "INVALID_PARAMETER_VALUE", "Missing required field: size")
    if workers < 0:
        raise invalid(f"num_workers must be 0 or more, not {workers}.")
    if workers == 0:
        # The legacy form of a single node; without it Spark has no executor at all (terraform-provider-databricks).
        conf, tags = spec.get("spark_conf") or {}, spec.get("custom_tags") or {}
        single = conf.get(_PROFILE) == "singleNode" and conf.get("spark.master", "").startswith("local")
        if not single or tags.get("ResourceClass") != "SingleNode":
            raise invalid(
                "num_workers could be 0 only for single-node clusters: set is_single_node with kind CLASSIC_PREVIEW, or"
                f" spark_conf {_PROFILE}=singleNode and spark.master=local[*] with custom tag ResourceClass=SingleNode."
            )


def _check_azure(attributes: Record) -> None:
    availability = attributes.get("availability")
    if availability and availability not in _AVAILABILITY:
        raise invalid(f"azure_attributes.availability '{availability}' is none of {', '.join(_AVAILABILITY)}.")
    first = attributes.get("first_on_demand")
    if first is not None and first < 1:
        raise invalid(f"azure_attributes.first_on_demand must be at least 1, not {first}.")
