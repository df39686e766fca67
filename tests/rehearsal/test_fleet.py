"""Rehearsal hosts as root has them: each its own machine as far as a runbook can tell, and nothing left after them."""

from __future__ import annotations

from fleets import Hosts


def test_each_host_knows_who_it_is(rehearsal: Hosts) -> None:
    """Every host has its own name, machine-id and key, and both users log in with the OpenSSH client."""
    names = [host["name"] for host in rehearsal.status]
    assert names == ["web1", "web2", "db1", "app1", "app2", "bastion"]
    said = {
        n: rehearsal.ssh(n, "hostname; cat /etc/machine-id; id -un", user="watch", change=False).stdout for n in names
    }
    assert [said[n].split()[::2] for n in names] == [[n, "watch"] for n in names]
    assert len({said[n].split()[1] for n in names}) == len(names)
    assert len({rehearsal.public(n) for n in names}) == len(names)
