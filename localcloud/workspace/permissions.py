"""Access lists of clusters, jobs, policies, directories, notebooks and files."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from localcloud.store import Store
from localcloud.workspace.errors import denied, invalid, missing
from localcloud.workspace.people import Caller, People
from localcloud.workspace.shelf import Record, Shelf

_FILE_LEVELS = ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE")
_PRINCIPALS = ("user_name", "group_name", "service_principal_name")


@dataclass(frozen=True)
class Kind:
    """A kind of object that has an access list. levels: weakest first; owner: the creator's level, if it has one."""

    object_type: str
    levels: tuple[str, ...]
    owner: str | None = "CAN_MANAGE"


KINDS = {
    "clusters": Kind("cluster", ("CAN_ATTACH_TO", "CAN_RESTART", "CAN_MANAGE")),
    "jobs": Kind("job", ("CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"), "IS_OWNER"),
    "cluster-policies": Kind("cluster-policy", ("CAN_USE",), None),
    "directories": Kind("directory", _FILE_LEVELS),
    "notebooks": Kind("notebook", _FILE_LEVELS),
    "files": Kind("file", _FILE_LEVELS),
}
# Kind and id of the objects whose rights an object takes over.
Above = Callable[[str], Iterable[tuple[str, str]]]


class Permissions:
    """The access lists of one workspace. Administrators hold the strongest level on everything, inherited."""

    def __init__(self, store: Store, workspace_id: str, people: People) -> None:
        self._store = store
        self._people = people
        self._lists = Shelf(store, "permissions", workspace_id)
        self._exists: dict[str, Callable[[str], bool]] = {}
        self._above: dict[str, Above] = {}

    def register(self, kind: str, exists: Callable[[str], bool], above: Above = lambda _: ()) -> None:
        """Say how to find out whether an object of a kind exists, and whose rights hold for it as well."""
        self._exists[kind] = exists
        self._above[kind] = above

    def created(self, kind: str, object_id: str, creator: str) -> None:
        """A new object belongs to its creator."""
        owner = KINDS[kind].owner
        entries = [{"user_name": creator, "permission_level": owner}] if owner else []
        self._lists.put(f"{kind}/{object_id}", {"entries": entries})

    def deleted(self, kind: str, object_id: str) -> None:
        """Forget the access list of an object that is gone."""
        self._lists.delete(f"{kind}/{object_id}")

    def get(self, kind: str, object_id: str) -> Record:
        """The access list in the API's form; 404 if there is no such object."""
        levels = self._kind(kind).levels
        answer = [
            {
                **{name: entry[name] for name in _PRINCIPALS if name in entry},
                "all_permissions": [{"permission_level": entry["permission_level"], "inherited": False}],
            }
            for entry in self.entries(kind, object_id)
        ]
        strongest = "CAN_MANAGE" if "CAN_MANAGE" in levels else levels[-1]
        inherited = {"permission_level": strongest, "inherited": True, "inherited_from_object": [f"/{kind}/"]}
        answer.append({"group_name": "admins", "all_permissions": [inherited]})
        return {
            "object_id": f"/{kind}/{object_id}",
            "object_type": KINDS[kind].object_type,
            "access_control_list": answer,
        }

    def levels(self, kind: str, object_id: str) -> list[str]:
        """The levels that can be given on an object."""
        self._require(kind, object_id)
        return list(KINDS[kind].levels)

    def entries(self, kind: str, object_id: str) -> list[Record]:
        """What was given on the object itself: `{user_name | group_name, permission_level}`."""
        self._require(kind, object_id)
        record = self._lists.get(f"{kind}/{object_id}")
        return list(record["entries"]) if record else []

    def put(self, kind: str, object_id: str, entries: list[Record], caller: Caller) -> Record:
        """Replace the access list."""
        self._require(kind, object_id)
        if not self._may_give(kind, object_id, caller):
            raise denied(
                f"{caller.user_name} does not have permission to change the access list of"
                f" {KINDS[kind].object_type} {object_id}."
            )
        self.check(kind, entries)
        self._lists.put(f"{kind}/{object_id}", {"entries": entries})
        return self.get(kind, object_id)

    def patch(self, kind: str, object_id: str, entries: list[Record], caller: Caller) -> Record:
        """Add to the access list; a principal that is in it gets the new level instead."""
        with self._store.transaction():
            merged = {_principal(entry): entry for entry in self.entries(kind, object_id)}
            if any(entry.get("permission_level") == "IS_OWNER" for entry in entries):
                merged = {who: entry for who, entry in merged.items() if entry["permission_level"] != "IS_OWNER"}
            merged |= {_principal(entry): entry for entry in entries}
            return self.put(kind, object_id, list(merged.values()), caller)

    def check(self, kind: str, entries: Iterable[Record]) -> None:
        """Refuse unknown levels, unknown principals, and a job without exactly one owner."""
        entries = list(entries)
        levels = self._kind(kind).levels
        for entry in entries:
            kind_of_principal, name = _principal(entry)
            if entry.get("permission_level") not in levels:
                raise invalid(
                    f"Permission level '{entry.get('permission_level')}' is not supported on {KINDS[kind].object_type}:"
                    f" use one of {', '.join(levels)}."
                )
            if kind_of_principal == "service_principal_name" or not self._people.has_principal(name):
                raise missing(f"Principal: {name} does not exist")
        if kind == "jobs":
            owners = [entry for entry in entries if entry["permission_level"] == "IS_OWNER"]
            if len(owners) != 1:
                raise invalid("The job must have exactly one owner.")
            if "group_name" in owners[0]:
                raise invalid("Groups can not be owners of a job.")

    def holds(self, kind: str, object_id: str, caller: Caller, level: str) -> bool:
        """Whether the caller has this level or a stronger one on the object."""
        if caller.admin:
            return True
        levels = KINDS[kind].levels
        enough = levels[levels.index(level) :]
        names = (caller.user_name.lower(), "users")
        return any(
            entry["permission_level"] in enough and _principal(entry)[1].lower() in names
            for one in [(kind, object_id), *self._above[kind](object_id)]
            for entry in self.entries(*one)
        )

    def _may_give(self, kind: str, object_id: str, caller: Caller) -> bool:
        # Of a policy nobody has that level: administrators alone say who uses it.
        manageable = "CAN_MANAGE" in KINDS[kind].levels
        return caller.admin or (manageable and self.holds(kind, object_id, caller, "CAN_MANAGE"))

    def _kind(self, kind: str) -> Kind:
        if kind not in KINDS:
            raise invalid(f"'{kind}' has no access lists: use one of {', '.join(KINDS)}.")
        return KINDS[kind]

    def _require(self, kind: str, object_id: str) -> None:
        self._kind(kind)
        if not self._exists[kind](object_id):
            raise missing(f"{KINDS[kind].object_type.capitalize()} {object_id} does not exist.")


def _principal(entry: Record) -> tuple[str, str]:
    named = [(name, entry[name]) for name in _PRINCIPALS if entry.get(name)]
    if len(named) != 1:
        raise invalid(
            "Each entry of an access list must name exactly one user_name, group_name or service_principal_name."
        )
    return named[0]
