"""Draws ratios as bars: an SVG that needs no font, no script and no network, on a light or a dark page."""
import dataclasses
import html
import math

STYLE = """
      text { font: 12px system-ui, sans-serif; fill: #57606a } .h { font-weight: 600; font-size: 13px; fill: #1f2328 } .title { font-weight: 600; font-size: 16px; fill: #1f2328 }
      .v, .a { fill: #57606a; font-size: 11px } .g { fill: #2f8f5b } .b { fill: #c2553f } .grid { stroke: #8c959f; stroke-opacity: .25 } .one { stroke: #57606a; stroke-width: 1.5 }
      .t { stroke: #b08800; stroke-width: 2 } .o { fill: none; stroke: #3b6fb5; stroke-width: 1.8 }
      @media (prefers-color-scheme: dark) { text, .v, .a { fill: #9198a1 } .h, .title { fill: #e6edf3 } .one { stroke: #9198a1 } .g { fill: #3fb171 } .b { fill: #e0715a } .o { stroke: #6ea8fe } .t { stroke: #d4a72c } }"""


def escape(text):
    return html.escape(text, quote=False)  # nothing of it stands in an attribute


@dataclasses.dataclass
class Bar:
    label: str
    ratio: float
    against: str  # whom the ratio is to
    title: str  # what is shown when the pointer rests on it
    target: float | None = None
    others: dict[str, float] = dataclasses.field(default_factory=dict)  # ratios of the same under other circumstances


def ratio_chart(title, lines, sections, left=270, right=230):
    """Horizontal bars on a logarithmic axis: right of the middle line we are faster. `sections` maps headings to lists of Bar."""
    step, width = 19, 420
    top = 56 + 18 * len(lines)
    low, high = -2, 3  # a quarter to eight times; what is beyond ends at the edge, its figure stands beside it

    def x(ratio):
        return left + width * (min(max(math.log2(ratio), low), high) - low) / (high - low)

    parts, y = [], top
    for heading, bars in sections.items():
        y += 12
        parts.append(f'<text class="h" x="16" y="{y + 13}">{escape(heading)}</text>')
        y += step + 3
        for bar in bars:
            a, b = sorted((x(1), x(bar.ratio)))
            parts.append(f'<text class="l" x="{left - 10}" y="{y + 13}" text-anchor="end">{escape(bar.label)}</text>')
            parts.append(f'<rect class="{"g" if bar.ratio >= 1 else "b"}" x="{a:.1f}" y="{y + 4}" width="{max(b - a, 1.5):.1f}" height="11" rx="2"><title>{escape(bar.title)}</title></rect>')
            if bar.target:
                parts.append(f'<path class="t" d="M{x(bar.target):.1f} {y + 1}v17"/>')
            for name, ratio in bar.others.items():
                parts.append(f'<circle class="o" cx="{x(ratio):.1f}" cy="{y + 9.5}" r="3.5"><title>{escape(name)}: {ratio:.2f} ×</title></circle>')
            parts.append(f'<text class="v" x="{left + width + 12}" y="{y + 13}">{bar.ratio:.2f} × {escape(bar.against)}</text>')
            y += step
    bottom = y + 6
    grid = []
    for power in range(low, high + 1):
        at = x(2.0**power)
        name = f"{2**power} ×" if power >= 0 else f"1/{2**-power}"
        grid.append(f'<path class="{"one" if power == 0 else "grid"}" d="M{at:.1f} {top}V{bottom}"/><text class="a" x="{at:.1f}" y="{top - 6}" text-anchor="middle">{name}</text>')
    head = "".join(f'\n<text x="16" y="{46 + 18 * i}">{escape(line)}</text>' for i, line in enumerate(lines))
    size = f"{left + width + right} {bottom + 16}"
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" width="{left + width + right}" height="{bottom + 16}">
<style>{STYLE}
</style>
<text class="title" x="16" y="26">{escape(title)}</text>{head}
{chr(10).join(grid)}
{chr(10).join(parts)}
</svg>
"""
