"""What the resource types of the databricks provider share."""

from abc import abstractmethod
from typing import Any, ClassVar

from localcloud.errors import CloudError, DatabricksError
from localcloud.providers.base import Check, Diff, Failure, ProviderError, ResourceType, Session, compare
from localcloud.providers.databricks_shape import covers, from_service, made_up_name, snake, to_service
from localcloud.providers.schema import load
from localcloud.providers.wire import UNKNOWN, Props, has_unknown
from localcloud.workspace import Workspace, Workspaces
from localcloud.workspace.shelf import Record


def host_name(config: Props) -> str:
    """The workspace's host name in the provider's configuration, without a scheme."""
    host = str(config.get("host") or "")
    return host.removeprefix("https://").rstrip("/")


def type_token(name: str) -> str:
    """Pulumi's token of a type: `databricks:index/job:Job`."""
    return f"databricks:index/{name[0].lower()}{name[1:]}:{name}"


class WorkspaceResource(ResourceType):
    """A resource of a workspace.

    Subclasses say how to make, find, change and remove it; here lie names, checks and drift. auto_named: the property
    `name` is made up when it isn't given; defaults: inputs that Terraform's provider fills in; answers: fields of the
    service that become outputs.
    """

    auto_named: ClassVar[bool] = False
    defaults: ClassVar[Props] = {}
    answers: ClassVar[tuple[str, ...]] = ()
    gone: ClassVar[tuple[str, ...]] = ("RESOURCE_DOES_NOT_EXIST",)

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces
        self._properties = load("databricks").resources[self.token]["properties"]

    def workspace(self, session: Session) -> Workspace:
        """The workspace that the provider is configured for."""
        host = host_name(session.config)
        found = self._workspaces.get(host)
        if found is None:
            raise ProviderError(f"host '{host}' is no workspace of this cloud: its workspace was deleted or never made")
        return found

    def check(self, session: Session, request: Check) -> tuple[Props, list[Failure]]:
        """Fills in the name and defaults; then the rules that need nothing but the inputs."""
        inputs = {**self.defaults, **request.inputs}
        if self.auto_named and inputs.get("name") is None:
            inputs["name"] = made_up_name(request.name, request.olds, request.seed)
        try:
            return inputs, self.rules(session, inputs, to_service(inputs))
        except DatabricksError as refusal:
            return inputs, [Failure(_place(inputs, refusal.message), refusal.message)]

    def rules(self, session: Session, inputs: Props, body: Record) -> list[Failure]:
        """What is wrong with the inputs; may raise DatabricksError. body: the same in the API's form."""
        return []

    def diff(self, session: Session, id: str, outputs: Props, olds: Props, news: Props) -> Diff:
        """What changes. A replacement is created first, unless the type's name is the program's own.

        The bridge deletes first only what it would name itself (pulumi-terraform-bridge,
        nameRequiresDeleteBeforeReplace); a secret that is created first is lost (pulumi-databricks#642).
        """
        return Diff(compare(olds, news, self.replace_on), delete_before_replace=self.auto_named)

    def create(self, session: Session, inputs: Props) -> tuple[str, Props]:
        """Make it with the service's rules."""
        workspace = self.workspace(session)
        id = self.make(workspace, to_service(inputs))
        return id, self._outputs(workspace, id, inputs)

    def read(self, session: Session, id: str, inputs: Props) -> tuple[Props, Props] | None:
        """What the service says now; inputs change only where it says something else."""
        workspace = self._workspaces.get(host_name(session.config))
        found = self._found(workspace, id) if workspace else None
        if workspace is None or found is None:
            return None
        inputs = self.inputs_now(found, inputs)
        return inputs, self._outputs(workspace, id, inputs)

    def update(self, session: Session, id: str, outputs: Props, olds: Props, news: Props) -> Props:
        """Change it with the service's rules."""
        workspace = self.workspace(session)
        self.change(workspace, id, to_service(news))
        return self._outputs(workspace, id, news)

    def delete(self, session: Session, id: str, outputs: Props) -> None:
        """Remove it; with its workspace it is gone already."""
        workspace = self._workspaces.get(host_name(session.config))
        if workspace is None:
            return
        try:
            self.remove(workspace, id, outputs)
        except CloudError as refusal:
            if not self._is_gone(refusal):
                raise

    def inputs_now(self, found: Record, inputs: Props) -> Props:
        """The inputs that describe what was found: the known ones while they are true."""
        wanted = {name: item for name, item in to_service(inputs).items() if name in self.compared(found)}
        if inputs and covers(wanted, found):
            return inputs
        actual = {name: item for name, item in from_service(found).items() if name in self._properties}
        kept = {name: item for name, item in inputs.items() if snake(name) not in found}
        return {**kept, **{name: item for name, item in actual.items() if not inputs or name in inputs}}

    def compared(self, found: Record) -> set[str]:
        """Fields in which drift can be seen: what the service answers."""
        return set(found)

    @abstractmethod
    def make(self, workspace: Workspace, body: Record) -> str:
        """Create it; returns its id."""

    @abstractmethod
    def find(self, workspace: Workspace, id: str) -> Record:
        """What the service answers; raises when there is none."""

    def change(self, workspace: Workspace, id: str, body: Record) -> None:
        """Update it in place; types of which every property replaces never come here."""
        raise ProviderError(f"{self.token} cannot be changed in place")

    @abstractmethod
    def remove(self, workspace: Workspace, id: str, outputs: Props) -> None:
        """Delete it."""

    def computed(self, workspace: Workspace, id: str, found: Record) -> Props:
        """Outputs beside the inputs and `answers`."""
        return {}

    def _outputs(self, workspace: Workspace, id: str, inputs: Props) -> Props:
        found = self.find(workspace, id)
        answered = from_service({name: found[name] for name in self.answers if name in found})
        return {**inputs, **answered, **self.computed(workspace, id, found)}

    def _found(self, workspace: Workspace, id: str) -> Record | None:
        try:
            return self.find(workspace, id)
        except CloudError as refusal:
            if self._is_gone(refusal):
                return None
            raise

    def _is_gone(self, refusal: CloudError) -> bool:
        # Clusters and jobs that don't exist are answered with 400 and a text.
        return refusal.code in self.gone or refusal.message.rstrip(".").endswith("does not exist")


def known(value: Any) -> bool:
    """Whether a value is given and known in this preview."""
    return value is not None and value is not UNKNOWN and not has_unknown(value)


def not_one_of(inputs: Props, name: str, allowed: tuple[str, ...]) -> list[Failure]:
    """The refusal of a text outside a list, in the words of Terraform's validation.StringInSlice."""
    value = inputs.get(name)
    if not known(value) or value in allowed:
        return []
    listed = " ".join(f'"{item}"' for item in allowed)
    return [Failure((name,), f"expected {snake(name)} to be one of [{listed}], got {value}")]


def _place(inputs: Props, message: str) -> tuple[str, ...]:
    """The input that a refusal speaks of: by its name, else by its value."""
    named = [name for name in inputs if snake(name) in message or name in message]
    valued = [name for name, value in inputs.items() if isinstance(value, str) and value and value in message]
    found = named or valued
    return (max(found, key=len),) if found else ()
