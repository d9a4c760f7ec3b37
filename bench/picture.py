# SPDX-License-Identifier: MIT
"""Small SVG pictures: one self-contained file, white ground, no script, no font of its own."""
import html
import math

INK, FAINT, GRID = "#222222", "#666666", "#dddddd"


class Picture:
    def __init__(self, width, height, title):
        self.size = (width, height)
        self.parts = ["<title>%s</title>" % html.escape(title),
                      '<rect width="100%" height="100%" fill="#ffffff"/>']

    def line(self, x1, y1, x2, y2, stroke=INK, width=1.0, dash=""):
        self.parts.append('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" '
                          'stroke-width="%g"%s/>' % (x1, y1, x2, y2, stroke, width, dashed(dash)))

    def path(self, points, stroke, width=1.8, dash=""):
        self.parts.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="%g"%s/>' % (
            " ".join("%.1f,%.1f" % p for p in points), stroke, width, dashed(dash)))

    def rect(self, x, y, width, height, fill):
        self.parts.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>' % (
            x, y, width, height, fill))

    def dot(self, x, y, radius, fill, opacity=1.0):
        self.parts.append('<circle cx="%.1f" cy="%.1f" r="%.1f" fill="%s" fill-opacity="%g" '
                          'stroke="#ffffff" stroke-width="0.8"/>' % (x, y, radius, fill, opacity))

    def text(self, x, y, words, size=11, anchor="start", fill=INK, bold=False):
        self.parts.append('<text x="%.1f" y="%.1f" font-size="%g" text-anchor="%s" fill="%s"%s '
                          'stroke="#ffffff" stroke-width="2.5" paint-order="stroke">%s'
                          '</text>' % (x, y, size, anchor, fill,
                                       ' font-weight="bold"' if bold else "", html.escape(words)))

    def save(self, path):
        with open(path, "w") as out:
            out.write('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
                      'viewBox="0 0 %d %d" font-family="sans-serif">\n%s\n</svg>\n'
                      % (self.size + self.size + ("\n".join(self.parts),)))


def dashed(dash):
    return ' stroke-dasharray="%s"' % dash if dash else ""


class Log:
    """A logarithmic axis: numbers between low and high onto pixels between start and end."""

    def __init__(self, low, high, start, end):
        self.low, self.span = math.log10(low), max(math.log10(high) - math.log10(low), 1e-9)
        self.start, self.length = start, end - start

    def __call__(self, number):
        return self.start + self.length * (math.log10(number) - self.low) / self.span

    def ticks(self, steps=(1,)):
        low, high = self.low - 1e-9, self.low + self.span + 1e-9
        return [step * 10.0 ** k for k in range(math.floor(low), math.ceil(high) + 1)
                for step in steps if low <= math.log10(step) + k <= high]


def short(number):
    """A number for an axis: 0.1, 20, 3k, 2M."""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if number >= limit:
            return "%g%s" % (number / limit, unit)
    return "%g" % number
