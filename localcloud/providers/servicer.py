"""The engine's protocol (ResourceProvider, provider.proto) in front of a `Provider`."""

import json
import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from localcloud import faults, peers
from localcloud.errors import CloudError
from localcloud.providers import wire
from localcloud.providers.base import Check, Diff, Failure, Provider, ProviderError, ResourceType, Session, compare
from localcloud.providers.wire import Path, Props

_KINDS = {
    ("add", False): provider_pb2.PropertyDiff.ADD,
    ("add", True): provider_pb2.PropertyDiff.ADD_REPLACE,
    ("delete", False): provider_pb2.PropertyDiff.DELETE,
    ("delete", True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    ("update", False): provider_pb2.PropertyDiff.UPDATE,
    ("update", True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}
# A notebook or wheel travels inside one message; the engine itself allows 400 MB.
_OPTIONS = [("grpc.max_receive_message_length", 400 << 20), ("grpc.max_send_message_length", 400 << 20)]
# At the same time: a class whose calls all wait as on Azure. A thread is made only when a call needs it.
_CALLS = 512
# Without this two clouds could share a port unnoticed.
_EXCLUSIVE = ("grpc.so_reuseport", 0)

_Answer = TypeVar("_Answer")


class ProviderServer:
    """A provider on a loopback port.

    port: the port to use again; 0, or one that is taken, gives a free one.
    """

    def __init__(self, provider: Provider, port: int = 0) -> None:
        threads = futures.ThreadPoolExecutor(_CALLS, thread_name_prefix=f"{provider.name}-rpc")
        self._server = grpc.server(threads, options=[*_OPTIONS, _EXCLUSIVE])
        self.port = self._bind(port) or self._bind(0)
        self._servicer = Servicer(provider, self.port)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(self._servicer, self._server)
        self._server.start()

    def _bind(self, port: int) -> int:
        try:
            return int(self._server.add_insecure_port(f"127.0.0.1:{port}"))
        except RuntimeError:
            if port == 0:
                raise
            return 0

    def stop(self) -> None:
        """End the running calls and close the port."""
        self._servicer.end_waits()
        self._server.stop(grace=2).wait()


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """One method for each call of the engine."""

    def __init__(self, provider: Provider, port: int) -> None:
        self._provider = provider
        self._port = port
        # The engine opens one connection for each provider instance, and names the instance in no call but Configure,
        # so the connection stands for it. Ports come again, so the table can't outgrow the port range.
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """The engine says where it listens; there is nothing to tell it."""
        return empty_pb2.Empty()

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Calls of this connection that only wait, as on Azure, end now. Work ends by itself and is never half done."""

        def answer() -> empty_pb2.Empty:
            peer = self._peer(context)
            with self._lock:
                if session := self._sessions.get(peer):
                    session.ended.set()
            return empty_pb2.Empty()

        return self._answer(context, "Cancel", answer)

    def end_waits(self) -> None:
        """Let every call that only waits end now."""
        with self._lock:
            for session in self._sessions.values():
                session.ended.set()

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        """Secrets come and go marked; dependencies inside values are the engine's own business."""
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """The version whose behaviour is followed."""
        return plugin_pb2.PluginInfo(version=self._provider.version)

    def GetSchema(
        self, request: provider_pb2.GetSchemaRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetSchemaResponse:
        """A package without resources: programs use the published SDKs, which carry the schema."""
        package = {"name": self._provider.name, "version": self._provider.version}
        return provider_pb2.GetSchemaResponse(schema=json.dumps(package))

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Check the provider's own configuration."""

        def answer() -> provider_pb2.CheckResponse:
            news, secrets = wire.read(request.news)
            inputs, failures = self._provider.check_config(news)
            return _checked(inputs, secrets, failures)

        return self._answer(context, "CheckConfig", answer)

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """A changed configuration never replaces what was made with it."""

        def answer() -> provider_pb2.DiffResponse:
            olds, _ = wire.read(request.old_inputs)
            news, _ = wire.read(request.news)
            return _difference(Diff(compare(olds, news)))

        return self._answer(context, "DiffConfig", answer)

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """Remember the configuration for this connection."""

        def answer() -> provider_pb2.ConfigureResponse:
            peer, (config, _) = self._peer(context), wire.read(request.args)
            with self._lock:
                self._sessions[peer] = Session(config)
            return provider_pb2.ConfigureResponse(
                acceptSecrets=True, supportsPreview=True, acceptResources=False, acceptOutputs=False
            )

        return self._answer(context, "Configure", answer)

    def Invoke(self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext) -> provider_pb2.InvokeResponse:
        """Call a function; what it returns is as secret as its arguments."""

        def answer() -> provider_pb2.InvokeResponse:
            function = self._provider.invokes.get(request.tok)
            if function is None:
                raise ProviderError(f"the local cloud does not offer the function {request.tok}")
            args, _ = wire.read(request.args)
            return provider_pb2.InvokeResponse(**{"return": wire.write(function(self._session(context), args))})

        return self._answer(context, request.tok, answer)

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        """The schema first, then the type's own rules."""

        def answer() -> provider_pb2.CheckResponse:
            kind = self._type(request.urn)
            news, secrets = wire.read(request.news)
            olds, _ = wire.read(request.olds)
            news, problems = self._provider.schema.check(kind.token, news)
            if problems:
                return _checked(news, secrets, [Failure(path, reason) for path, reason in problems])
            name = request.urn.rsplit("::", 1)[-1]
            check = Check(name=name, inputs=news, olds=olds, seed=request.randomSeed)
            inputs, failures = kind.check(self._session(context), check)
            return _checked(inputs, secrets, failures)

        return self._answer(context, request.urn, answer)

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """What an update would change, and whether it needs a new resource."""

        def answer() -> provider_pb2.DiffResponse:
            kind = self._type(request.urn)
            outputs, _ = wire.read(request.olds)
            olds, _ = wire.read(request.old_inputs)
            news, _ = wire.read(request.news)
            return _difference(kind.diff(self._session(context), request.id, outputs, olds, news))

        return self._answer(context, request.urn, answer)

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        """Make a resource; in a preview only say which outputs are known."""

        def answer() -> provider_pb2.CreateResponse:
            kind = self._type(request.urn)
            inputs, secrets = wire.read(request.properties)
            session = self._session(context)
            id, outputs = ("", kind.preview(session, inputs, {})) if request.preview else kind.create(session, inputs)
            return provider_pb2.CreateResponse(id=id, properties=_outputs(kind, outputs, secrets))

        return self._answer(context, request.urn, answer)

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        """What exists now; an empty answer when nothing does."""

        def answer() -> provider_pb2.ReadResponse:
            kind = self._type(request.urn)
            known, secrets = wire.read(request.inputs)
            _, old_secrets = wire.read(request.properties)
            found = kind.read(self._session(context), request.id, known)
            if found is None:
                return provider_pb2.ReadResponse()
            inputs, outputs = found
            return provider_pb2.ReadResponse(
                id=request.id,
                inputs=wire.write(inputs, secrets),
                properties=_outputs(kind, outputs, secrets | old_secrets),
            )

        return self._answer(context, request.urn, answer)

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        """Change a resource in place; a preview knows its new inputs and its old outputs."""

        def answer() -> provider_pb2.UpdateResponse:
            kind = self._type(request.urn)
            outputs, _ = wire.read(request.olds)
            olds, _ = wire.read(request.old_inputs)
            news, secrets = wire.read(request.news)
            session = self._session(context)
            if request.preview:
                after = kind.preview(session, news, outputs)
            else:
                after = kind.update(session, request.id, outputs, olds, news)
            return provider_pb2.UpdateResponse(properties=_outputs(kind, after, secrets))

        return self._answer(context, request.urn, answer)

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Remove a resource."""

        def answer() -> empty_pb2.Empty:
            outputs, _ = wire.read(request.properties)
            self._type(request.urn).delete(self._session(context), request.id, outputs)
            return empty_pb2.Empty()

        return self._answer(context, request.urn, answer)

    def _type(self, urn: str) -> ResourceType:
        # urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME
        token = urn.split("::")[2].rsplit("$", 1)[-1]
        kind = self._provider.resource_types.get(token)
        if kind is None:
            raise ProviderError(f"the local cloud does not offer resources of type {token}")
        return kind

    def _session(self, context: grpc.ServicerContext) -> Session:
        peer = self._peer(context)
        with self._lock:
            session = self._sessions.get(peer)
        if session is None:
            raise ProviderError(f"the provider {self._provider.name} was used before it was configured")
        return session

    def _peer(self, context: grpc.ServicerContext) -> str:
        peer: str = context.peer()
        if not peers.is_own(peer, self._port):
            raise ProviderError("this port of the local cloud is another user's: only who started it may use it")
        return peer

    def _answer(self, context: grpc.ServicerContext, what: str, answer: Callable[[], _Answer]) -> _Answer:
        try:
            return answer()
        except (CloudError, ProviderError) as error:
            self._abort(context, str(error))
        except Exception as error:
            self._abort(context, faults.explain(what, error))

    def _abort(self, context: grpc.ServicerContext, message: str) -> NoReturn:
        # The published plugins answer with Unknown as well: the text carries the service's code.
        context.abort(grpc.StatusCode.UNKNOWN, message)
        raise AssertionError("abort raises")


def _checked(inputs: Props, secrets: set[Path], failures: list[Failure]) -> provider_pb2.CheckResponse:
    return provider_pb2.CheckResponse(
        inputs=wire.write(inputs, secrets),
        failures=[provider_pb2.CheckFailure(property=one.property, reason=one.reason) for one in failures],
    )


def _difference(diff: Diff) -> provider_pb2.DiffResponse:
    detail = {
        wire.property_path(path): provider_pb2.PropertyDiff(kind=_KINDS[change.kind, change.replace], inputDiff=True)
        for path, change in diff.changes.items()
    }
    some = provider_pb2.DiffResponse.DIFF_SOME if detail else provider_pb2.DiffResponse.DIFF_NONE
    return provider_pb2.DiffResponse(
        changes=some,
        diffs=sorted({str(path[0]) for path in diff.changes}),
        replaces=sorted({str(path[0]) for path, change in diff.changes.items() if change.replace}),
        detailedDiff=detail,
        hasDetailedDiff=True,
        deleteBeforeReplace=diff.delete_before_replace,
    )


def _outputs(kind: ResourceType, outputs: Props, secrets: set[Path]) -> Any:
    # An output may have another shape than the input of the same name, so the whole output is as secret as its input.
    hidden = {path[0] for path in secrets} | kind.secret_outputs
    return wire.write(outputs, [(name,) for name in hidden])
