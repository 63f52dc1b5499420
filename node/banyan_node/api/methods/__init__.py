"""Every method, by name."""

from banyan_node.api.declare import Method
from banyan_node.api.methods import (
    accounts,
    archive,
    content,
    finding,
    imports,
    items,
    keys,
    network,
    reading,
    social,
    standing,
    totals,
    views,
)

_MODULES = (accounts, keys, social, reading, finding, items, content)
_MORE = (imports, archive, standing, totals, views, network)
EVERY: dict[str, Method] = {method.name: method for module in (*_MODULES, *_MORE) for method in module.METHODS}
