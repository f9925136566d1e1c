"""A bar chart as SVG, written by hand: no library, readable on light and on dark."""

import math
from collections.abc import Mapping
from html import escape

WIDTH, ROW, LABEL, TITLE, MARGIN, LINE = 720, 26, 130, 62, 16, 18
TICKS = [digit * 10.0**power for power in range(-6, 10) for digit in (1, 2, 5)]
"""What may be marked on a scale."""
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 } .panel { font-weight: 600 }
.caption { font-size: 11px; opacity: 0.7 }
line { stroke: #8c959f; opacity: 0.4 }
.value { stroke: #ffffff; stroke-width: 4px; paint-order: stroke }
.page { fill: #ffffff } .bar { fill: #8c959f } .ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .value { stroke: #0d1117 }
  .page { fill: #0d1117 } .bar { fill: #6e7681 } .ours { fill: #4493f8 }
}
"""


def chart(title: str, panels: Mapping[str, Mapping[str, float]], *captions: str) -> str:
    """Panels one below the other: a title each, and a bar for each name, the shortest first."""
    parts = [f'<text class="title" x="{MARGIN}" y="{MARGIN + 14}">{escape(title)}</text>']
    top = MARGIN + 30
    for name, bars in panels.items():
        parts += panel(name, bars, top)
        top += TITLE + ROW * len(bars)
    for caption in captions:
        top += LINE
        parts.append(f'<text class="caption" x="{MARGIN}" y="{top}">{escape(caption)}</text>')
    box = f"0 0 {WIDTH} {top + MARGIN}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img">',
            f"<title>{escape(title)}: {escape('; '.join(panels))}</title>",
            f"<style>{STYLE}</style>",
            '<rect class="page" width="100%" height="100%"/>',
            *parts,
            "</svg>\n",
        ]
    )


def panel(title: str, bars: Mapping[str, float], top: float) -> list[str]:
    """The bars of one figure, on a logarithmic scale: twice as much is as far everywhere."""
    low = max(tick for tick in TICKS if tick <= 0.8 * min(bars.values()))  # or the shortest had no length
    high = min(tick for tick in TICKS if tick >= max(bars.values()))
    width, left, bottom = WIDTH - LABEL - 2 * MARGIN - 80, LABEL + 10, top + 28 + ROW * len(bars)

    def length(value: float) -> float:
        return width * math.log(value / low) / math.log(high / low)

    parts = [f'<text class="panel" x="{MARGIN}" y="{top + 16}">{escape(title)} (logarithmic scale)</text>']
    for tick in TICKS[TICKS.index(low) : TICKS.index(high) + 1]:
        x = left + length(tick)
        parts += [
            f'<line x1="{x:.0f}" y1="{top + 26}" x2="{x:.0f}" y2="{bottom}"/>',
            f'<text class="caption" x="{x:.0f}" y="{bottom + 12}" text-anchor="middle">{tick:,g}</text>',
        ]
    for number, (name, value) in enumerate(sorted(bars.items(), key=lambda bar: bar[1])):
        y = top + 28 + number * ROW
        kind = "bar ours" if name == "ours" else "bar"
        parts += [
            f'<text x="{LABEL}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{left}" y="{y}" width="{length(value):.1f}" height="18" rx="3"/>',
            f'<text class="value" x="{left + 8 + length(value):.0f}" y="{y + 14}">{value:,.1f}</text>',
        ]
    return parts
