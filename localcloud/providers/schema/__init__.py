"""What the published SDKs say about the supported types: properties, required ones, types and enum values.

The JSON files beside this module are made from the SDKs by `python -m localcloud.providers.schema.generate`, because
the SDKs take seconds and hundreds of megabytes to import. The published plugins let unknown properties and enum values
pass; this check refuses them on purpose, since a misspelt property is silently without effect on Azure.
"""

from localcloud.providers.schema.checker import Schema, load

__all__ = ["Schema", "load"]
