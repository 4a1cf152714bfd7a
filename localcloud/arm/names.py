"""Azure's rules for names, tags and regions (azure-docs: resource-name-rules.md, tag-resources.md)."""

import re

from localcloud.errors import AzureError

# The regions of the public cloud that offer Event Hubs, Data Lake storage and Azure Databricks.
REGIONS = frozenset(
    [
        "australiacentral",
        "australiaeast",
        "australiasoutheast",
        "austriaeast",
        "belgiumcentral",
        "brazilsouth",
        "canadacentral",
        "canadaeast",
        "centralindia",
        "centralus",
        "chilecentral",
        "eastasia",
        "eastus",
        "eastus2",
        "francecentral",
        "germanywestcentral",
        "indonesiacentral",
        "israelcentral",
        "italynorth",
        "japaneast",
        "japanwest",
        "koreacentral",
        "koreasouth",
        "malaysiawest",
        "mexicocentral",
        "newzealandnorth",
        "northcentralus",
        "northeurope",
        "norwayeast",
        "polandcentral",
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
    ]
)

# azure-docs error-reserved-resource-name.md: words that no public name may contain, start with, or be.
_RESERVED_INSIDE = ("microsoft", "windows")
_RESERVED_FIRST = ("login",)
_RESERVED_WHOLE = frozenset(("azure", "bing", "excel", "office", "office365", "outlook", "skype", "word", "xbox"))

_TAG_FORBIDDEN = set("<>%&\\?/")
_TAGS_AT_MOST = 50
_TAG_VALUE_AT_MOST = 256


def location(text: str) -> str:
    """`West Europe` → `westeurope`."""
    return text.replace(" ", "").lower()


def check_location(text: str, kind: str) -> None:
    """Refuses what is no region."""
    if location(text) not in REGIONS:
        regions = ",".join(sorted(REGIONS))
        raise AzureError(
            400,
            "LocationNotAvailableForResourceType",
            f"The provided location '{text}' is not available for resource type '{kind}'. "
            f"List of available regions for the resource type is '{regions}'.",
        )


def check_tags(tags: dict[str, str]) -> None:
    """At most 50, names without `<>%&\\?/`, values of at most 256 characters."""
    if len(tags) > _TAGS_AT_MOST:
        raise AzureError(
            400, "TooManyTags", f"{len(tags)} tags are given, but a resource takes at most {_TAGS_AT_MOST}."
        )
    for name, value in tags.items():
        if _TAG_FORBIDDEN & set(name):
            raise AzureError(
                400,
                "InvalidTagNameCharacters",
                f"The tag names '{name}' have reserved characters '<,>,%,&,\\,?,/' or control characters.",
            )
        if len(str(value)) > _TAG_VALUE_AT_MOST:
            raise AzureError(
                400,
                "InvalidTagValueLength",
                f"The value of tag '{name}' exceeds the maximum length of {_TAG_VALUE_AT_MOST} characters.",
            )


def check_reserved(name: str) -> None:
    """Refuses trademarks and reserved words in names that become a public host name."""
    lower = name.lower()
    if any(word in lower for word in _RESERVED_INSIDE) or lower.startswith(_RESERVED_FIRST) or lower in _RESERVED_WHOLE:
        raise AzureError(
            400,
            "ReservedResourceName",
            f"The resource name '{name}' or a part of the name is a trademarked or reserved word.",
        )


def check_name(name: str, kind: str, pattern: str, length: tuple[int, int], words: str) -> None:
    """Refuses a name that breaks the pattern or the length. words: the rule, in words."""
    shortest, longest = length
    if not shortest <= len(name) <= longest or not re.fullmatch(pattern, name):
        raise AzureError(
            400,
            "InvalidResourceName",
            f"The {kind} name '{name}' is invalid: it must have {shortest} to {longest} characters, {words}.",
        )
