"""The hosts that can be lost: every way to lose one, and that it comes back as it was."""

from __future__ import annotations

from networks import Networks, connects


def test_each_way_to_lose_a_host(namespaces: Networks) -> None:
    """An unplugged host is not reached; a frozen one connects and says nothing; a killed one comes back with its disk."""
    one, two, three = (namespaces.hosts[name].address for name in namespaces.names)
    assert [connects(address, 2) for address in (one, two, three)] == [True] * 3
    namespaces.unplug("web1")
    namespaces.freeze("web2")
    namespaces.inside("web3", "sh", "-c", "echo kept >/etc/kept; echo gone >/run/gone")
    namespaces.kill("web3")
    assert [connects(address, 1) for address in (one, two, three)] == [False, True, False]
    for name in namespaces.names:
        namespaces.restore(name)
    assert [connects(address, 2) for address in (one, two, three)] == [True] * 3
    assert namespaces.inside("web3", "cat", "/etc/kept") == "kept\n"
    assert namespaces.inside("web3", "sh", "-c", "ls /run/gone || true") == ""
