"""A bar chart as SVG, written by hand: no library, readable on light and on dark."""

from collections.abc import Mapping
from html import escape

WIDTH, ROW, LABEL, TITLE, MARGIN, LINE = 720, 26, 130, 44, 16, 18
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.caption { font-size: 11px; opacity: 0.7 }
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
    """The bars of one figure. One that is more than ten times ours is cut short, and says so."""
    parts = [f'<text class="title" x="{MARGIN}" y="{top + 16}">{escape(title)}</text>']
    longest = min(max(bars.values()), 10 * bars.get("ours", max(bars.values())))
    room = WIDTH - LABEL - 2 * MARGIN - 80
    for number, (name, value) in enumerate(sorted(bars.items(), key=lambda bar: bar[1])):
        y = top + 28 + number * ROW
        length = max(2, room * min(1, value / longest))
        kind = "bar ours" if name == "ours" else "bar"
        cut = " …" if value > longest else ""
        parts += [
            f'<text x="{LABEL}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{LABEL + 10}" y="{y}" width="{length:.0f}" height="18" rx="3"/>',
            f'<text x="{LABEL + 18 + length:.0f}" y="{y + 14}">{value:.1f}{cut}</text>',
        ]
    return parts
