"""A bar chart as SVG, written by hand: no library, readable on light and on dark."""

import math
from collections.abc import Mapping
from html import escape

WIDTH, ROW, LABEL, TITLE, MARGIN, LINE = 720, 26, 130, 58, 16, 18
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.caption { font-size: 11px; opacity: 0.7 }
line { stroke: #8c959f; opacity: 0.4 }
.page { fill: #ffffff } .bar { fill: #8c959f } .ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .page { fill: #0d1117 } .bar { fill: #6e7681 } .ours { fill: #4493f8 }
}
"""


def chart(panels: Mapping[str, Mapping[str, float]], *captions: str) -> str:
    """Panels one below the other: a title each, and a bar for each name, the shortest first."""
    parts: list[str] = []
    top = MARGIN
    for title, bars in panels.items():
        parts += panel(title, bars, top)
        top += TITLE + ROW * len(bars)
    for caption in captions:
        top += LINE
        parts.append(f'<text class="caption" x="{MARGIN}" y="{top}">{escape(caption)}</text>')
    box = f"0 0 {WIDTH} {top + MARGIN}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img">',
            f"<title>{escape('; '.join(panels))}</title>",
            f"<style>{STYLE}</style>",
            '<rect class="page" width="100%" height="100%"/>',
            *parts,
            "</svg>\n",
        ]
    )


def panel(title: str, bars: Mapping[str, float], top: float) -> list[str]:
    """The bars of one figure, on a logarithmic scale: each line is ten times the one before."""
    low = math.floor(math.log10(0.99 * min(bars.values())))  # or the shortest bar could have no length
    high = math.ceil(math.log10(max(bars.values())))
    step = (WIDTH - LABEL - 2 * MARGIN - 80) / (high - low)
    left, bottom = LABEL + 10, top + 28 + ROW * len(bars)
    parts = [f'<text class="title" x="{MARGIN}" y="{top + 16}">{escape(title)} (logarithmic)</text>']
    for power in range(low, high + 1):
        x, tick = left + step * (power - low), f"{10.0**power:,g}"
        parts += [
            f'<line x1="{x:.0f}" y1="{top + 26}" x2="{x:.0f}" y2="{bottom}"/>',
            f'<text class="caption" x="{x:.0f}" y="{bottom + 10}" text-anchor="middle">{tick}</text>',
        ]
    for number, (name, value) in enumerate(sorted(bars.items(), key=lambda bar: bar[1])):
        y = top + 28 + number * ROW
        length = step * (math.log10(value) - low)
        kind = "bar ours" if name == "ours" else "bar"
        parts += [
            f'<text x="{LABEL}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{left}" y="{y}" width="{length:.1f}" height="18" rx="3"/>',
            f'<text x="{left + 8 + length:.0f}" y="{y + 14}">{value:,.1f}</text>',
        ]
    return parts
