"""Masking: a secret's value, in every form in which a run may say it, becomes ``«secret NAME»``.

Rules without I/O:

* A value has *needles*: itself, its lines, and each of them as JSON, Python, a shell, a URL, HTML, hex, base64 and
  UTF-16 write it (:mod:`opsnb.base.masking.needles`). A value under 8 characters is refused: it would mask everything.
* Text is looked at as a reader sees it: without line breaks, and without the escape sequences of a terminal.
* What matches in any of these views is replaced, overlapping matches together, under the first one's name.
* A stream holds back the longest end that may become a match; what it says does not depend on how it was cut.
"""

from opsnb.base.masking.masker import Masker, Stream, marker
from opsnb.base.masking.needles import MIN_SECRET, check_value, needles

__all__ = ["MIN_SECRET", "Masker", "Stream", "check_value", "marker", "needles"]
