"""Azure Resource Manager: the resource types that the local cloud offers, and the rules that Azure holds them to.

`Arm` is the whole of it: it knows neither HTTP (`http.py`) nor Pulumi.
"""

from localcloud.arm.manager import Arm
from localcloud.arm.views import Container, Hub, Namespace, Rule, WorkspaceInfo

__all__ = ["Arm", "Container", "Hub", "Namespace", "Rule", "WorkspaceInfo"]
