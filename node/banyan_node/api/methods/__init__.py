"""Every method, by name."""

from banyan_node.api.declare import Method
from banyan_node.api.methods import accounts, archive, content, imports, keys, network, reading, social, standing, views

_MODULES = (accounts, keys, social, reading, content, imports, archive, standing, views, network)
EVERY: dict[str, Method] = {method.name: method for module in _MODULES for method in module.METHODS}
