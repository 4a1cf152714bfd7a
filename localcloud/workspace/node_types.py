"""The node types and Spark versions that the local workspace offers: a part of what Azure Databricks does."""

from dataclasses import dataclass

from localcloud.workspace.shelf import Record


@dataclass(frozen=True)
class NodeType:
    """A virtual machine size. memory_mb: MiB; category: as the service groups them; disk_gb: its temporary disk."""

    name: str
    cores: int
    memory_mb: int
    category: str
    disk_gb: int


def _series(
    pattern: str, category: str, gib_per_core: float, cores: tuple[int, ...], disk_per_core: float
) -> list[NodeType]:
    return [
        NodeType(pattern.format(n), n, int(n * gib_per_core * 1024), category, int(n * disk_per_core)) for n in cores
    ]


_GENERAL, _MEMORY, _COMPUTE, _STORAGE = "General Purpose", "Memory Optimized", "Compute Optimized", "Storage Optimized"
NODE_TYPES: dict[str, NodeType] = {
    node.name: node
    for node in [
        *_series("Standard_D{}ds_v5", _GENERAL, 4, (4, 8, 16, 32), 37.5),
        *_series("Standard_D{}ads_v5", _GENERAL, 4, (4, 8, 16, 32), 37.5),
        *_series("Standard_D{}ds_v4", _GENERAL, 4, (4, 8, 16, 32), 37.5),
        *_series("Standard_D{}s_v3", _GENERAL, 4, (4, 8, 16, 32), 8),
        *_series("Standard_D{}s_v5", _GENERAL, 4, (4, 8, 16, 32), 0),
        *_series("Standard_D{}as_v5", _GENERAL, 4, (4, 8, 16, 32), 0),
        *_series("Standard_D{}ds_v6", _GENERAL, 4, (4, 8, 16, 32), 55),
        NodeType("Standard_DS3_v2", 4, 14336, _GENERAL, 28),
        NodeType("Standard_DS4_v2", 8, 28672, _GENERAL, 56),
        NodeType("Standard_DS12_v2", 4, 28672, _MEMORY, 56),
        *_series("Standard_E{}ds_v5", _MEMORY, 8, (4, 8, 16), 37.5),
        *_series("Standard_E{}ds_v4", _MEMORY, 8, (4, 8, 16), 37.5),
        *_series("Standard_F{}s_v2", _COMPUTE, 2, (4, 8, 16), 8),
        *_series("Standard_F{}", _COMPUTE, 2, (4, 8, 16), 16),
        *_series("Standard_L{}s_v3", _STORAGE, 8, (8, 16), 10),
        *_series("Standard_L{}s", _STORAGE, 8, (4, 8, 16), 169.5),
    ]
}

SPARK_VERSIONS = {
    "18.1.x-scala2.13": "18.1 (includes Apache Spark 4.1.0, Scala 2.13)",
    "18.0.x-scala2.13": "18.0 (includes Apache Spark 4.1.0, Scala 2.13)",
    "18.x-scala2.13": "18 LTS (includes Apache Spark 4.1.0, Scala 2.13)",
    "17.3.x-scala2.13": "17.3 LTS (includes Apache Spark 4.0.0, Scala 2.13)",
    "16.4.x-scala2.13": "16.4 LTS (includes Apache Spark 3.5.2, Scala 2.13)",
    "16.4.x-scala2.12": "16.4 LTS (includes Apache Spark 3.5.2, Scala 2.12)",
    "15.4.x-scala2.12": "15.4 LTS (includes Apache Spark 3.5.0, Scala 2.12)",
    "14.3.x-scala2.12": "14.3 LTS (includes Apache Spark 3.5.0, Scala 2.12)",
}


def describe(node: NodeType) -> Record:
    """The node type in the API's form."""
    return {
        "node_type_id": node.name,
        "memory_mb": node.memory_mb,
        "num_cores": float(node.cores),
        "description": node.name,
        "instance_type_id": node.name,
        "node_instance_type": {
            "instance_type_id": node.name,
            "local_disks": 1 if node.disk_gb else 0,
            "local_disk_size_gb": node.disk_gb,
        },
        "category": node.category,
        "is_deprecated": False,
        "is_hidden": False,
        "is_io_cache_enabled": node.category == _STORAGE,
        "num_gpus": 0,
        "photon_driver_capable": True,
        "photon_worker_capable": True,
        "support_cluster_tags": True,
        "support_port_forwarding": True,
    }
