"""The only package that imports libp2p: it provides authenticated, framed links to peers, and hides everything else.

Start reading at edge.py (who keeps which link), then admission.py (who may hold a connection), link.py (frames,
bounds, deadlines), and libp2p_host.py (the libp2p host and its guards). config.py has the settings, the errors and the
events.
"""

from banyan_node.admission.arrivals import PauseSettings
from banyan_node.admission.connection_slots import PeerActivity, SlotSettings
from banyan_node.edge.admission import TWIN
from banyan_node.edge.blob_streams import BLOB_PROTOCOL, BlobLines
from banyan_node.edge.config import (
    CreditBroken,
    DialFailed,
    EdgeConfig,
    EdgeError,
    EdgeEvent,
    FrameTooLarge,
    LinkClosed,
    Paused,
    SlowPeer,
)
from banyan_node.edge.edge import SYNC_PROTOCOL, Edge, open_edge
from banyan_node.edge.link import Link
