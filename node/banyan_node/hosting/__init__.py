"""The accounts whose keys this node has."""
