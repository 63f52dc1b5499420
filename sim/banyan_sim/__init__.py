"""A simulator that runs the node's own replica, many times over, in virtual time and from one seed."""
