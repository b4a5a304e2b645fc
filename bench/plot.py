"""Bars on a logarithmic scale, as SVG.  ✗ reads nothing, computes no ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT, ROW, TOP = 860, 230, 60, 24, 34
FIRST, LAST = 1 / 8, 64.0
OWN_COLOUR, PEER_COLOUR = "#2563a8", "#b3b8bf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """low, high: the quartiles, drawn as a thin line over the bar's end."""

    name: str
    low: float
    value: float
    high: float
    own: bool


def _x(value: float) -> float:
    share = math.log(max(FIRST, min(LAST, value)) / FIRST) / math.log(LAST / FIRST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _ticks(height: int) -> list[str]:
    drawn = []
    tick = FIRST
    while tick <= LAST:
        x, label = _x(tick), f"{tick:g}" if tick >= 1 else f"1/{1 / tick:g}"
        strong = "#444" if tick == 1 else "#ddd"
        drawn.append(f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height - 8}" stroke="{strong}"/>')
        drawn.append(f'<text x="{x:.1f}" y="{TOP - 12}" text-anchor="middle">{label}</text>')
        tick *= 2
    return drawn


def _bar(bar: Bar, y: int) -> list[str]:
    colour = OWN_COLOUR if bar.own else PEER_COLOUR
    middle, width = y + ROW / 2, _x(bar.value) - LEFT
    return [
        f'<text x="{LEFT - 8}" y="{middle + 4}" text-anchor="end">{escape(bar.name)}</text>',
        f'<rect x="{LEFT}" y="{y + 4}" width="{width:.1f}" height="{ROW - 8}" fill="{colour}"/>',
        f'<line x1="{_x(bar.low):.1f}" y1="{middle}" x2="{_x(bar.high):.1f}" y2="{middle}" stroke="#111"/>',
        f'<text x="{_x(bar.high) + 6:.1f}" y="{middle + 4}">{bar.value:.2f}</text>',
    ]


def svg(title: str, bars: Sequence[Bar]) -> str:
    height = TOP + ROW * len(bars) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif"'
        f' font-size="12"><title>{escape(title)}</title>',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        *_ticks(height),
    ]
    for number, bar in enumerate(bars):
        parts += _bar(bar, TOP + ROW * number)
    return "\n".join([*parts, "</svg>"]) + "\n"
