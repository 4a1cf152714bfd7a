"""What Azure Databricks offers where: regions, node types and runtimes (Microsoft Learn, Azure Databricks)."""

REGIONS = frozenset(
    (
        "australiacentral",
        "australiaeast",
        "australiasoutheast",
        "brazilsouth",
        "canadacentral",
        "canadaeast",
        "centralindia",
        "centralus",
        "eastasia",
        "eastus",
        "eastus2",
        "francecentral",
        "germanywestcentral",
        "italynorth",
        "japaneast",
        "japanwest",
        "koreacentral",
        "mexicocentral",
        "northcentralus",
        "northeurope",
        "norwayeast",
        "qatarcentral",
        "southafricanorth",
        "southcentralus",
        "southeastasia",
        "southindia",
        "spaincentral",
        "swedencentral",
        "switzerlandnorth",
        "switzerlandwest",
        "uaenorth",
        "uksouth",
        "ukwest",
        "westcentralus",
        "westeurope",
        "westindia",
        "westus",
        "westus2",
        "westus3",
    )
)

# Four cores each: a trial subscription has no more in a region, and the exercises need no more.
SUGGESTED = ("Standard_D4ds_v5", "Standard_D4ads_v5", "Standard_D4ds_v4", "Standard_D4s_v3")

NODE_TYPES = frozenset(
    (
        *SUGGESTED,
        "Standard_D4as_v5",
        "Standard_D4ds_v6",
        "Standard_D4s_v5",
        "Standard_DS3_v2",
        "Standard_DS12_v2",
        "Standard_E4ds_v5",
        "Standard_E4ds_v4",
        "Standard_F4",
        "Standard_F4s_v2",
        "Standard_L4s",
        "Standard_D8ds_v5",
        "Standard_D8ads_v5",
        "Standard_D8ds_v4",
        "Standard_D8s_v3",
        "Standard_DS4_v2",
        "Standard_E8ds_v5",
        "Standard_E8ds_v4",
        "Standard_F8",
        "Standard_F8s_v2",
        "Standard_L8s",
        "Standard_D16ds_v5",
        "Standard_D16ads_v5",
        "Standard_D16ds_v4",
        "Standard_D16s_v3",
        "Standard_E16ds_v5",
        "Standard_F16",
        "Standard_F16s_v2",
    )
)

# Those with Spark 4.1 and Scala 2.13, which the jobs (Delta 4.3) need.
RUNTIMES = ("18.x-scala2.13", "18.0.x-scala2.13", "18.1.x-scala2.13")
