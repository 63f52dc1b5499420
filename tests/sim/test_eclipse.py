"""An eclipse of a newcomer: with slots, and contacts that are asked again, it is not cut off for long."""

from __future__ import annotations

from banyan_node.admission.connection_slots import SlotSettings
from banyan_sim.eclipse import LOST_S, eclipse

SMALL = {"honest": 20, "each_s": 5, "lasts_s": 240}


def test_a_thousand_identities_of_twenty_networks_do_not_cut_a_newcomer_off_for_good() -> None:
    found = eclipse(1, slots=SlotSettings(), **SMALL)
    assert found.longest_s <= LOST_S


def test_without_slots_they_do() -> None:
    assert eclipse(1, slots=None, **SMALL).longest_s > LOST_S
