"""Secret scopes, secrets, directories, notebooks and files of the databricks provider."""

import base64
import binascii
import hashlib
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from localcloud.errors import DatabricksError
from localcloud.providers.base import Check, Failure, Session
from localcloud.providers.databricks_base import WorkspaceResource, known, not_one_of, type_token
from localcloud.providers.wire import UNKNOWN, Props
from localcloud.workspace import Workspace
from localcloud.workspace import secrets as secret_rules
from localcloud.workspace.files import LANGUAGES, MAX_BYTES, normal
from localcloud.workspace.shelf import Record

_SEPARATOR = "|||"


class SecretScope(WorkspaceResource):
    """A scope; nothing of it can be changed (terraform-provider-databricks, resource_secret_scope.go)."""

    token = type_token("SecretScope")
    auto_named = True
    replace_on = frozenset({("name",), ("initialManagePrincipal",), ("backendType",), ("keyvaultMetadata",)})

    def rules(self, session: Session, inputs: Props, body: Record) -> list[Failure]:
        """The name, and no Key Vault."""
        if known(inputs["name"]):
            secret_rules.check_name(inputs["name"], "Scope name")
        if inputs.get("keyvaultMetadata") or inputs.get("backendType") == "AZURE_KEYVAULT":
            return [
                Failure(("keyvaultMetadata",), "scopes backed by Azure Key Vault are not offered by the local cloud")
            ]
        return []

    def make(self, workspace: Workspace, body: Record) -> str:
        """Create the scope."""
        workspace.secrets.create_scope(body["name"], workspace.developer, body.get("initial_manage_principal"))
        return str(body["name"])

    def find(self, workspace: Workspace, id: str) -> Record:
        """The scope."""
        return workspace.secrets.scope(id)

    def remove(self, workspace: Workspace, id: str, outputs: Props) -> None:
        """Delete the scope with its secrets."""
        workspace.secrets.delete_scope(id, workspace.developer)

    def computed(self, workspace: Workspace, id: str, found: Record) -> Props:
        """The kind of scope."""
        return {"backendType": found["backend_type"]}


class Secret(WorkspaceResource):
    """A secret; a new value makes a new one (resource_secret.go). Its value is never read back."""

    token = type_token("Secret")
    replace_on = frozenset({("key",), ("scope",), ("stringValue",)})
    secret_outputs: ClassVar[frozenset[str]] = frozenset({"stringValue"})
    answers = ("last_updated_timestamp",)

    def rules(self, session: Session, inputs: Props, body: Record) -> list[Failure]:
        """Key and value."""
        if known(inputs["key"]):
            secret_rules.check_name(inputs["key"], "Secret key")
        if "stringValue" not in inputs:
            return [Failure(("stringValue",), "missing required property 'stringValue'")]
        if inputs["stringValue"] == "":
            # validation.StringIsNotEmpty
            return [Failure(("stringValue",), 'expected "string_value" to not be an empty string')]
        return []

    def make(self, workspace: Workspace, body: Record) -> str:
        """Put the value."""
        workspace.secrets.put(body["scope"], body["key"], str(body["string_value"]).encode(), workspace.developer)
        return f"{body['scope']}{_SEPARATOR}{body['key']}"

    def find(self, workspace: Workspace, id: str) -> Record:
        """The secret without its value."""
        scope, _, key = id.partition(_SEPARATOR)
        return {"scope": scope, **workspace.secrets.described(scope, key, workspace.developer)}

    def remove(self, workspace: Workspace, id: str, outputs: Props) -> None:
        """Delete the secret."""
        scope, _, key = id.partition(_SEPARATOR)
        workspace.secrets.delete(scope, key, workspace.developer)

    def computed(self, workspace: Workspace, id: str, found: Record) -> Props:
        """The reference for cluster settings."""
        return {"configReference": f"{{{{secrets/{found['scope']}/{found['key']}}}}}"}


class SecretAcl(WorkspaceResource):
    """Who may read a scope; nothing of it can be changed (resource_secret_acl.go)."""

    token = type_token("SecretAcl")
    replace_on = frozenset({("scope",), ("principal",), ("permission",)})

    def rules(self, session: Session, inputs: Props, body: Record) -> list[Failure]:
        """The level."""
        level = inputs["permission"]
        if known(level) and level not in secret_rules.LEVELS:
            return [Failure(("permission",), f"'{level}' is none of {', '.join(secret_rules.LEVELS)}")]
        return []

    def make(self, workspace: Workspace, body: Record) -> str:
        """Put the entry."""
        workspace.secrets.put_acl(body["scope"], body["principal"], body["permission"], workspace.developer)
        return f"{body['scope']}{_SEPARATOR}{body['principal']}"

    def find(self, workspace: Workspace, id: str) -> Record:
        """The entry."""
        scope, _, principal = id.partition(_SEPARATOR)
        return {"scope": scope, **workspace.secrets.get_acl(scope, principal, workspace.developer)}

    def remove(self, workspace: Workspace, id: str, outputs: Props) -> None:
        """Delete the entry."""
        scope, _, principal = id.partition(_SEPARATOR)
        workspace.secrets.delete_acl(scope, principal, workspace.developer)


class Directory(WorkspaceResource):
    """A directory; it must be empty when it is deleted, unless `deleteRecursive` is set (resource_directory.go)."""

    token = type_token("Directory")
    replace_on = frozenset({("path",)})
    answers = ("object_id",)

    def rules(self, session: Session, inputs: Props, body: Record) -> list[Failure]:
        """The path."""
        return _check_path(inputs)

    def make(self, workspace: Workspace, body: Record) -> str:
        """Make the directory and its parents."""
        workspace.files.mkdirs(body["path"])
        return str(body["path"])

    def find(self, workspace: Workspace, id: str) -> Record:
        """The directory."""
        return workspace.files.status(id)

    def change(self, workspace: Workspace, id: str, body: Record) -> None:
        """Only `deleteRecursive` can change, which the service never hears of."""

    def remove(self, workspace: Workspace, id: str, outputs: Props) -> None:
        """Delete the directory."""
        workspace.delete_path(id, bool(outputs.get("deleteRecursive")), workspace.developer)

    def computed(self, workspace: Workspace, id: str, found: Record) -> Props:
        """Where code on a cluster finds it."""
        return {"workspacePath": f"/Workspace{found['path']}"}


class WorkspaceFile(WorkspaceResource):
    """A file as it is; its content counts, not the time or path of its source (resource_workspace_file.go)."""

    token = type_token("WorkspaceFile")
    replace_on = frozenset({("path",)})
    answers: ClassVar[tuple[str, ...]] = ("object_id",)

    def check(self, session: Session, request: Check) -> tuple[Props, list[Failure]]:
        """Adds the MD5 sum of the content, by which a change is seen."""
        inputs, failures = super().check(session, request)
        if not failures:
            content, failures = read_content(inputs)
            if content is not None:
                inputs["md5"] = _md5(content)
        return inputs, failures

    def rules(self, session: Session, inputs: Props, body: Record) -> list[Failure]:
        """The path."""
        return _check_path(inputs)

    def make(self, workspace: Workspace, body: Record) -> str:
        """Upload, over what may be there; a parent that is missing is made, and the upload repeated."""
        try:
            self.upload(workspace, body)
        except DatabricksError as refusal:
            parent = str(PurePosixPath(normal(body["path"])).parent)
            if not self.parent_is_missing(workspace, parent, refusal):
                raise
            workspace.files.mkdirs(parent)
            self.upload(workspace, body)
        return str(body["path"])

    def parent_is_missing(self, workspace: Workspace, parent: str, refusal: DatabricksError) -> bool:
        """Whether the upload failed for want of a parent, by the refusal's text (isParentDoesntExistError)."""
        return "parent folder " in refusal.message and " does not exist" in refusal.message

    def find(self, workspace: Workspace, id: str) -> Record:
        """The file, with the MD5 sum of what is in the workspace."""
        found = workspace.files.status(id)
        return {**found, "md5": _md5(workspace.files.read(id))}

    def change(self, workspace: Workspace, id: str, body: Record) -> None:
        """Upload again."""
        self.upload(workspace, body)

    def remove(self, workspace: Workspace, id: str, outputs: Props) -> None:
        """Delete the file."""
        workspace.delete_path(id, recursive=False, caller=workspace.developer)

    def inputs_now(self, found: Record, inputs: Props) -> Props:
        """The source may have changed since: only the sum tells what is in the workspace."""
        return {**inputs, "path": inputs.get("path", found["path"]), "md5": found["md5"]}

    def computed(self, workspace: Workspace, id: str, found: Record) -> Props:
        """Where it is, for people and for code on a cluster."""
        return {
            "workspacePath": f"/Workspace{found['path']}",
            "url": f"https://{workspace.url}/#workspace{found['path']}",
        }

    def upload(self, workspace: Workspace, body: Record) -> None:
        """Import the content into the workspace."""
        workspace.files.write(body["path"], _content(body), "RAW", overwrite=True)


class Notebook(WorkspaceFile):
    """A notebook in source form (resource_notebook.go)."""

    token = type_token("Notebook")
    answers = ("object_id", "object_type", "language")

    def rules(self, session: Session, inputs: Props, body: Record) -> list[Failure]:
        """The path, the format, and a language that is known."""
        failures = _check_path(inputs)
        if inputs.get("format", "SOURCE") not in ("SOURCE", UNKNOWN):
            failures.append(Failure(("format",), "the local cloud takes notebooks in format SOURCE alone"))
        failures += not_one_of(inputs, "language", ("SCALA", "PYTHON", "R", "SQL"))
        if not inputs.get("language"):
            if "contentBase64" in inputs:
                failures.append(Failure(("language",), "contentBase64 needs a language"))
            elif known(inputs.get("source")) and Path(inputs["source"]).suffix.lower() not in LANGUAGES:
                failures.append(Failure(("language",), f"'{inputs['source']}' has no suffix that tells its language"))
        return failures

    def parent_is_missing(self, workspace: Workspace, parent: str, refusal: DatabricksError) -> bool:
        """Whether there is no parent by now.

        When another import has made it since, the first refusal stands: notebooks that are imported in parallel into
        a new folder race, and some of them fail (resource_notebook.go, Create).
        """
        return workspace.files.find(parent) is None

    def upload(self, workspace: Workspace, body: Record) -> None:
        """Import the content into the workspace."""
        language = body.get("language") or LANGUAGES[Path(body["source"]).suffix.lower()]
        workspace.files.write(body["path"], _content(body), "SOURCE", language, overwrite=True)

    def computed(self, workspace: Workspace, id: str, found: Record) -> Props:
        """Where it is, and that it is a notebook in source form."""
        return {**super().computed(workspace, id, found), "format": "SOURCE"}


def read_content(inputs: Props) -> tuple[bytes | None, list[Failure]]:
    """The content of `source` (an absolute path) or `contentBase64`; None while it is unknown."""
    source, text = inputs.get("source"), inputs.get("contentBase64")
    if (source is None) == (text is None):
        return None, [Failure(("source",), "exactly one of 'source' and 'contentBase64' must be given")]
    if source is UNKNOWN or text is UNKNOWN:
        return None, []
    name = "source" if text is None else "contentBase64"
    try:
        content = _decoded(str(text)) if text is not None else _read(Path(str(source)))
    except ValueError as problem:
        return None, [Failure((name,), str(problem))]
    if len(content) > MAX_BYTES:
        reason = f"the content has {len(content)} bytes, the limit of an import is {MAX_BYTES} (10 MB)"
        return None, [Failure((name,), reason)]
    return content, []


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("contentBase64 is not valid Base64") from None


def _read(path: Path) -> bytes:
    if not path.is_absolute():
        # The published plugin runs in the program's folder, this cloud runs on its own.
        raise ValueError(f"source '{path}' must be an absolute path")
    if not path.is_file():
        raise ValueError(f"File {path} does not exist")
    return path.read_bytes()


def _content(body: Record) -> bytes:
    if body.get("content_base64") is not None:
        return base64.b64decode(body["content_base64"])
    return Path(body["source"]).read_bytes()


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _check_path(inputs: Props) -> list[Failure]:
    path: Any = inputs["path"]
    if known(path):
        normal(path)
        if path.startswith("/Workspace/"):
            return [Failure(("path",), f"path '{path}' must be given without '/Workspace' (workspacePath has it)")]
    return []
