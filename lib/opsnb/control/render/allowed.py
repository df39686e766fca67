"""What foreign HTML and SVG may hold: tags and attributes by name. All that is not listed is dropped."""

from __future__ import annotations


def _names(text: str) -> set[str]:
    return set(text.split())


TEXT_TAGS = _names(
    "a abbr b blockquote br caption cite code col colgroup dd del details div dl dt em figcaption figure h1 h2 h3 h4 h5"
    " h6 hr i img ins kbd li mark ol p pre q s samp small span strong sub summary sup table tbody td tfoot th thead tr"
    " u ul var",
)
DROPPED_WHOLE = _names(
    "applet audio canvas embed frame frameset iframe input link math meta noembed noframes noscript object"
    " script select style svg template textarea title video xmp",
)
ATTRIBUTES = {
    "a": {"href"}, "abbr": {"title"}, "img": {"alt", "height", "src", "width"}, "ol": {"start"},
    "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan", "scope"},
}  # fmt: skip
# What pygments writes into the fenced code of prose: short class names that only colour.
CODE_CLASSES = _names(
    "bp c c1 ch cm cp cpf cs dl err esc fm g gd ge gh gi gl go gp gr gs gt gu hll il k kc kd kn kp kr kt l ld m mb mf"
    " mh mi mo n na nb nc nd ne nf ni nl nn no nt nv nx o ow p pm py s s1 s2 sa sb sc sd se sh si sr ss sx vc vg vi vm"
    " w x",
)
SVG_TAGS = _names(
    "svg g path rect circle ellipse line polyline polygon text tspan defs clipPath use title desc linearGradient"
    " radialGradient stop marker pattern mask symbol",
)
SVG_ATTRIBUTES = _names(
    "alignment-baseline clip-path clip-rule cx cy d dominant-baseline dx dy fill fill-opacity fill-rule font-family"
    " font-size font-style font-weight fx fy gradientTransform gradientUnits height href id marker-end marker-mid"
    " marker-start markerHeight markerUnits markerWidth mask offset opacity orient patternTransform patternUnits points"
    " preserveAspectRatio r refX refY rotate rx ry spreadMethod stop-color stop-opacity stroke stroke-dasharray"
    " stroke-dashoffset stroke-linecap stroke-linejoin stroke-miterlimit stroke-opacity stroke-width style text-anchor"
    " textLength transform version viewBox visibility width x x1 x2 xlink:href y y1 y2",
)
