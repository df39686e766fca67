"""The nearest right name: :mod:`opsnb.base.nearest`, where it is without the weight of this package."""

from opsnb.base.nearest import LISTED, did_you_mean

__all__ = ["LISTED", "did_you_mean"]
