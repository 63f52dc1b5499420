"""What the replica asks of a node, the node answers itself: the answers of a replica alone are for simulations."""

from banyan_node.host import NodeHost
from banyan_replica.host import ReplicaHost


def test_the_node_answers_all_that_the_replica_asks() -> None:
    asked = {name for name in vars(ReplicaHost) if not name.startswith("_")}
    answered = {name for one in NodeHost.__mro__ if one not in (ReplicaHost, object) for name in vars(one)}
    assert asked <= answered, f"left to the defaults of a replica alone: {sorted(asked - answered)}"
