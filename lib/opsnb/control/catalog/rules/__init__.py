"""The lint rules, in the order of a notebook's life: is it usable, clean, named, readable, and does it say enough.

One function a rule, one module a group of codes; importing this package registers them all.
"""

from opsnb.control.catalog.rules import usable  # isort: skip  (codes in their order: 00x first)
from opsnb.control.catalog.rules import clean  # isort: skip
from opsnb.control.catalog.rules import names  # isort: skip
from opsnb.control.catalog.rules import cells  # isort: skip
from opsnb.control.catalog.rules import said  # isort: skip

__all__ = ["cells", "clean", "names", "said", "usable"]
