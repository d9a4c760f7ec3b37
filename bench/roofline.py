#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where the time and the bytes of a training step go, and how far each op is from what the machine
allows: the smaller of its peak of fused multiply-adds and its memory's bandwidth times the flops
that the op does with each byte.

    bench/roofline.py [--tries N] [--draw]

Flops and bytes are counted, each tensor once, by `gomokunet train --profile`; time is that of its
clock.  An op above the slope found its tensors in a cache.  Tables go to stdout, a line of JSON a
network to $BUILD/roofline.jsonl, the picture to $BUILD/roofline.svg; --draw measures nothing.
"""
import argparse

import common
from picture import FAINT, GRID, INK, Log, Picture, short

LOG, SVG = common.BUILD + "/roofline.jsonl", common.BUILD + "/roofline.svg"
# name: blocks, channels, batch, steps, kind
NETWORKS = {"dense 6x64 batch 256": (6, 64, 256, 5, "dense"),
            "dense 30x192 batch 32": (30, 192, 32, 3, "dense"),
            "separable 6x64 batch 256": (6, 64, 256, 8, "separable")}
# What a name has in it, the first that fits; so a span has the colour of its convolution.
COLOURS = (("depthwise", "#2f8f8f"), ("conv2d 1x1", "#6aa9e0"), ("conv2d", "#1f5fa8"),
           ("batch_norm", "#d98c1f"), ("linear", "#8c6bb1"), ("norm,", "#b03a3a"))
LEGEND = {"depthwise": "with a depthwise convolution", "conv2d": "conv2d 3x3",
          "batch_norm": "batch norm, block tails", "norm,": "norm and AdamW"}
OTHER = "#5a9e5a"
BRIEF = (("batch_norm squeeze_excite add relu", "block tail"), ("batch_norm relu ", "norm, "),
         ("depthwise_conv2d", "depthwise"), ("backward", "back"), ("forward", "fwd"))


def measure(name, tries):
    blocks, channels, batch, steps, kind = NETWORKS[name]
    words = ("--num-blocks", blocks, "--channels", channels, "--batch-size", batch, "--conv", kind,
             "--steps", steps, "--data", common.games(15))
    before = common.machine("bandwidth")
    line = common.between_peaks(lambda: common.profile(words, common.BUILD + "/bench-run"), tries)
    return {"network": name, "bandwidth": max(before, common.machine("bandwidth")), **line}


def label(row):
    return row["op"] if row["pass"] in ("data", "optimiser") else "%s %s" % (row["op"], row["pass"])


def roof(line, row):
    """GFLOP/s that the machine allows the op; None where flops or bytes are not counted."""
    if row["flops"] <= 0 or row["bytes"] <= 0:
        return None
    return min(line["peak"], line["bandwidth"] * row["flops"] / row["bytes"])


def print_table(line):
    print("\n%s: %.4f s a step; peak %.0f and %.0f GFLOP/s around it%s, memory %.0f GB/s" % (
        line["network"], line["seconds"], line["before"], line["after"],
        "" if line["still"] else " (it moved in every try)", line["bandwidth"]))
    print("%-48s %9s %7s %9s %9s %9s %9s %10s %8s" % (
        "", "ms", "share", "GFLOP", "GB", "GFLOP/s", "GB/s", "flop/byte", "of roof"))
    for row in sorted(line["rows"], key=lambda row: -row["seconds"]):
        share, limit, seconds = row["seconds"] / line["seconds"], roof(line, row), row["seconds"]
        if share < 0.002:
            continue
        cells = "%-48s %9.2f %5.1f %% %9.2f %9.3f %9.1f %9.1f" % (
            label(row), 1e3 * seconds, 100 * share, 1e-9 * row["flops"], 1e-9 * row["bytes"],
            1e-9 * row["flops"] / seconds, 1e-9 * row["bytes"] / seconds)
        if limit is not None:
            cells += " %10.2f %8.2f" % (row["flops"] / row["bytes"],
                                        1e-9 * row["flops"] / seconds / limit)
        print(cells)
    print("%-48s %9.2f %5.1f %%" % ("between the ops", 1e3 * line["other_seconds"],
                                    100 * line["other_seconds"] / line["seconds"]))
    flops, moved = (sum(row[what] for row in line["rows"]) * 1e-9 for what in ("flops", "bytes"))
    print("%-48s %9.2f %5.1f %% %9.2f %9.3f %9.1f %9.1f" % (
        "the step", 1e3 * line["seconds"], 100, flops, moved, flops / line["seconds"],
        moved / line["seconds"]))


# --- The picture ---------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, TOP, GAP = 400, 360, 60, 105, 30


def colour(op):
    return next((c for name, c in COLOURS if name in op), OTHER)


def draw_panel(picture, line, x, axis):
    across, up = Log(0.05, 2000, x, x + WIDTH), Log(0.2, 400, TOP + HEIGHT, TOP)
    picture.text(x, TOP - 12, "%s: %.3g s" % (line["network"], line["seconds"]), 12, bold=True)
    for tick in up.ticks():
        picture.line(x, up(tick), x + WIDTH, up(tick), GRID)
        if axis:
            picture.text(x - 6, up(tick) + 4, short(tick), 10, "end", FAINT)
    for tick in across.ticks():
        picture.line(across(tick), TOP, across(tick), TOP + HEIGHT, GRID)
        picture.text(across(tick), TOP + HEIGHT + 15, short(tick), 10, "middle", FAINT)
    ridge = line["peak"] / line["bandwidth"]
    picture.path([(across(0.05), up(max(0.05 * line["bandwidth"], 0.2))),
                  (across(ridge), up(line["peak"])), (x + WIDTH, up(line["peak"]))], INK)
    picture.text(across(ridge), up(line["peak"]) - 6, "%.0f GFLOP/s" % line["peak"], 10, "middle")
    picture.text(across(0.06), up(0.06 * line["bandwidth"]) - 14,
                 "%.0f GB/s" % line["bandwidth"], 10)
    points = []
    for row in sorted(line["rows"], key=lambda row: -row["seconds"]):
        share = row["seconds"] / line["seconds"]
        if roof(line, row) is None or share < 0.002:
            continue
        px = across(row["flops"] / row["bytes"])
        py = up(min(max(1e-9 * row["flops"] / row["seconds"], 0.2), 400))
        picture.dot(px, py, 3 + 22 * share ** 0.5, colour(row["op"]), 0.75)
        if share >= 0.02:
            points.append((px, py, 3 + 22 * share ** 0.5, label(row)))
    taken = [(across(ridge) - 35, up(line["peak"]) - 17, across(ridge) + 35, up(line["peak"]))]
    for point in points:  # over all discs
        name(picture, *point, x, taken)


def name(picture, px, py, radius, words, x, taken):
    """Beside its point: where it is free of the names that are there already."""
    for long, brief in BRIEF:
        words = words.replace(long, brief)
    wide = 5.6 * len(words)
    sides = [(px + radius + 3, "start"), (px - radius - 3, "end")]
    for lift in (0, -11, 11, -22, 22, -33, 33, -44, 44):
        for tx, anchor in sides:
            left = tx if anchor == "start" else tx - wide
            box = (left, py + lift - 5, left + wide, py + lift + 6)
            outside = left < x or left + wide > x + WIDTH
            if outside or any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and
                              b[1] < box[3] for b in taken):
                continue
            taken.append(box)
            if lift:
                picture.line(px, py, tx, py + lift, FAINT, 0.6)
            picture.text(tx, py + lift + 4, words, 10, anchor)
            return


def draw(lines):
    picture = Picture(LEFT + len(lines) * (WIDTH + GAP), TOP + HEIGHT + 55,
                      "GomokuNet: the ops of a training step below the machine's roof")
    picture.text(LEFT, 22, "The ops of a training step below the machine's roof", 16, bold=True)
    picture.text(LEFT, 41, "GFLOP/s against flops done with each byte, every tensor counted once; "
                 "the larger the disc, the larger the op's share of the step's time.  "
                 "Above the slope caches helped.", 11, fill=FAINT)
    x = LEFT
    for words, fill in COLOURS + (("other maps", OTHER),):
        words = LEGEND.get(words, words)
        picture.dot(x + 5, 61, 5, fill)
        picture.text(x + 15, 65, words, 11)
        x += 32 + 6.3 * len(words)
    for i, line in enumerate(lines):
        draw_panel(picture, line, LEFT + i * (WIDTH + GAP), i == 0)
    picture.text(LEFT, TOP + HEIGHT + 38, "flops a byte", 11, fill=FAINT)
    picture.save(SVG)


def main():
    options = argparse.ArgumentParser(description="where the time of a training step goes")
    options.add_argument("--tries", type=int, default=3, help="runs until one is still (3)")
    options.add_argument("--draw", action="store_true", help="from the file of the last run")
    chosen = options.parse_args()
    lines = common.read_lines(LOG) if chosen.draw else []
    if not chosen.draw:
        for network in NETWORKS:
            lines.append(measure(network, chosen.tries))
            common.write_lines(LOG, lines)
    for line in lines:
        print_table(line)
    draw(lines)
    print("\n%s and %s written" % (LOG, SVG))


if __name__ == "__main__":
    main()
