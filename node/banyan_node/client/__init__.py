"""A client of the platform API, /v1 of a node's door, and of the lines that all clients of a node use.

    from banyan_node.client import Client, v1

    with Client("https://node.example", token) as node:
        for row in node.publish([{"as": "an", "do": "post", "text": "Chào cả nhà!"}]):
            ...
        for page in node.pages(v1.feed("an")):
            ...
        for event in node.follow(since="begin"):
            ...

Start reading at platform.py. What is named here is imported when it is used: the command line needs the lines alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from banyan_node.client import v1 as v1
    from banyan_node.client.follower import Place as Place
    from banyan_node.client.platform import AsyncClient as AsyncClient
    from banyan_node.client.platform import Client as Client
    from banyan_node.client.webhooks import NotGenuine as NotGenuine
    from banyan_node.client.webhooks import verified as verified
    from banyan_node.operator_errors import CallError as CallError

_PLACES = {
    "AsyncClient": "banyan_node.client.platform",
    "CallError": "banyan_node.operator_errors",
    "Client": "banyan_node.client.platform",
    "NotGenuine": "banyan_node.client.webhooks",
    "Place": "banyan_node.client.follower",
    "verified": "banyan_node.client.webhooks",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"banyan_node.client has no {name}")
    return getattr(import_module(_PLACES[name]), name)
