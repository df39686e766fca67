"""Who is in which group, and what each host inherits.

The rule: what stands at the host itself wins; then the nearest group, counted in steps from the host upwards; between
groups at the same distance the one that stands further down wins; group ``all`` comes last. Labels and variables
are merged name by name under that rule, everything else is taken whole. A group's ``select`` looks at hosts as their
listed groups make them, never at what another ``select`` added.
"""

from __future__ import annotations

from typing import Any

from opsnb.base.errors import InventoryError
from opsnb.base.nearest import did_you_mean
from opsnb.fleet.inventory.selector import Index, Node, terms
from opsnb.fleet.inventory.values import EVERY
from opsnb.fleet.inventory.written import Entry, Written

MERGED = ("labels", "variables")


class Membership:
    """Groups of the files put together.

    Args:
        written: What the files say.

    Raises:
        InventoryError: On a group that holds itself, or a name that nobody has.
    """

    def __init__(self, written: Written) -> None:
        self._hosts, self._groups = written.hosts, written.groups
        self._order = {name: at for at, name in enumerate(written.groups)}
        self._check_names()
        self._above = self._ancestors()
        self._direct: dict[str, set[str]] = {name: set() for name in written.hosts}
        for group in written.groups.values():
            for host in group.settings["hosts"]:
                self._direct[host].add(group.name)
        self._inherited: dict[frozenset[str], tuple[tuple[str, ...], dict[str, Any], dict[str, str]]] = {}
        self._select({name: node for (kind, name), node in written.selectors.items() if kind == "group"})

    def groups_of(self, host: str) -> tuple[str, ...]:
        """Return every group of a host, nearest first."""
        return self._of(host)[0]

    def settings_of(self, host: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Return what holds for a host, and which group each inherited field comes from."""
        _, inherited, origins = self._of(host)
        own = self._hosts[host].settings
        if not inherited:
            return own, {}
        found = {**inherited, **own}
        for key in MERGED:
            if key in own and key in inherited:
                found[key] = {**inherited[key], **own[key]}
        if found.get("via") == host and "via" not in own:  # a jump host in the group that it serves
            found["via"] = ""
        return found, {field: group for field, group in origins.items() if field not in own and not _stands(own, field)}

    def members(self) -> dict[str, tuple[str, ...]]:
        """Return the hosts of every group, in the order of the inventory."""
        found: dict[str, list[str]] = {name: [] for name in self._groups if name != EVERY}
        for host in self._hosts:
            for group in self.groups_of(host):
                found[group].append(host)
        return {name: tuple(hosts) for name, hosts in found.items()}

    def index(self) -> Index:
        """Return the hosts as selectors look at them, with what they inherit now."""
        settings = [self.settings_of(host)[0] for host in self._hosts]
        return Index(
            names=list(self._hosts), labels=[s.get("labels", {}) for s in settings],
            environments=[s.get("environment", "") for s in settings], groups=self.members(), services={},
        )  # fmt: skip

    def _of(self, host: str) -> tuple[tuple[str, ...], dict[str, Any], dict[str, str]]:
        direct = frozenset(self._direct[host])
        if direct not in self._inherited:
            self._inherited[direct] = self._inherit(direct)
        return self._inherited[direct]

    def _inherit(self, direct: frozenset[str]) -> tuple[tuple[str, ...], dict[str, Any], dict[str, str]]:
        distance: dict[str, int] = {}
        for group in direct:
            for above, steps in self._above[group].items():
                distance[above] = min(steps, distance.get(above, steps))
        nearest = sorted(distance, key=lambda name: (distance[name], -self._order[name]))
        found: dict[str, Any] = {}
        origins: dict[str, str] = {}
        for group in [*nearest, *([EVERY] if EVERY in self._groups else [])]:
            for key, value in self._groups[group].settings.items():
                if key in {"hosts", "groups", "select"}:
                    continue
                if key in MERGED:
                    mine = found.setdefault(key, {})
                    for name in value:
                        if name not in mine:
                            mine[name] = value[name]
                            origins[f"{key}.{name}"] = group
                elif key not in found:
                    found[key] = value
                    origins[key] = group
        return tuple(nearest), found, origins

    def _check_names(self) -> None:
        for group in self._groups.values():
            for key, known in (("hosts", self._hosts), ("groups", self._groups)):
                for at, name in enumerate(group.settings[key]):
                    if name not in known:
                        what = f"no {key[:-1]} is called '{name}'"
                        raise group.fields.error(f"{key}.{at}", what, did_you_mean(name, known, what=key))
                    if name == EVERY:
                        raise group.fields.error(f"{key}.{at}", f"'{EVERY}' stands in no other group")

    def _ancestors(self) -> dict[str, dict[str, int]]:
        """Return, for each group, every group above it (itself at 1) and how many steps from a host it is."""
        parents: dict[str, list[str]] = {name: [] for name in self._groups}
        for group in self._groups.values():
            for child in group.settings["groups"]:
                parents[child].append(group.name)
        self._refuse_cycles()
        found: dict[str, dict[str, int]] = {}
        for name in self._groups:
            steps, level, at = {name: 1}, [name], 1
            while level:
                at += 1
                level = [p for child in level for p in parents[child] if p not in steps]
                steps.update(dict.fromkeys(level, at))
            found[name] = steps
        return found

    def _refuse_cycles(self) -> None:
        done: set[str] = set()
        for start in self._groups:
            path: list[tuple[str, int]] = [(start, 0)]
            while path:  # depth first without recursion: nesting has no bound of its own
                name, at = path.pop()
                children = self._groups[name].settings["groups"]
                if name in done or at == len(children):
                    done.add(name)
                    continue
                path.append((name, at + 1))
                on_path = [step for step, _ in path]
                if children[at] in on_path:
                    circle = " → ".join([*on_path[on_path.index(children[at]) :], children[at]])
                    raise self._groups[name].fields.error(f"groups.{at}", f"a group holds itself: {circle}")
                path.append((children[at], 0))

    def _select(self, selectors: dict[str, Node]) -> None:
        if not selectors:
            return
        index, names = self.index(), list(self._hosts)
        selecting = {above for below in selectors for above in self._above[below]}
        added: list[tuple[str, set[int]]] = []
        for group, node in selectors.items():
            entry = self._groups[group]
            self._check_selector(entry, node, selecting)
            try:
                found = index.find(node, strict=False)
            except InventoryError as error:
                raise entry.fields.error("select", error.message, error.hint) from None
            added.append((group, found))
        for group, found in added:
            for at in found:
                if at < len(names):
                    self._direct[names[at]].add(group)

    def _check_selector(self, entry: Entry, node: Node, selecting: set[str]) -> None:
        for term in terms(node):
            if term.key == "service":
                raise entry.fields.error("select", "a group cannot select by service", "services select by group")
            named = term.value if term.key == "group" or (not term.key and not term.glob) else ""
            if named in selecting or (term.key == "group" and term.glob):
                raise entry.fields.error(
                    "select", f"names '{named or term.value}', which selects hosts itself", "name its labels instead"
                )


def _stands(own: dict[str, Any], field: str) -> bool:
    key, _, name = field.partition(".")
    return bool(name) and name in own.get(key, {})
