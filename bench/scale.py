#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How training and inference scale: positions a second, memory, and time by op, against blocks,
channels, batch, board size and threads, one at a time around a small network, dense and separable.

    bench/scale.py [--axes blocks,batch,...] [--quick] [--tries N] [--draw]

Each run stands between two measurements of the machine's peak and is repeated where the peak moved
by over 5 %, up to N times in all; one that never was still is marked by "~".  Tables go to stdout,
every run as a line of JSON to $BUILD/scale.jsonl, the picture to $BUILD/scale.svg.  With --axes the
others keep what the file holds of them; --draw measures nothing.
"""
import argparse
import os
import sys

import common
from picture import FAINT, GRID, INK, Log, Picture, short

LOG, SVG = common.BUILD + "/scale.jsonl", common.BUILD + "/scale.svg"
CORES = os.cpu_count()
AXES = ("blocks", "channels", "batch", "board", "threads")
THREADS = sorted({1, CORES} | {2 ** k for k in range(1, 10) if 2 ** k < CORES})
FULL = {"base": {"blocks": 6, "channels": 64, "batch": 64, "board": 15, "threads": CORES},
        "blocks": (2, 4, 6, 12, 24), "channels": (16, 32, 64, 128, 192),
        "batch": (1, 4, 16, 64, 256), "board": (7, 9, 11, 15, 19), "threads": THREADS}
QUICK = {"base": {"blocks": 3, "channels": 32, "batch": 16, "board": 15, "threads": CORES},
         "blocks": (1, 3, 6), "channels": (16, 32, 64), "batch": (1, 16, 64),
         "board": (7, 11, 15), "threads": THREADS}
KINDS = ("dense", "separable")
MODES = {"training": "none", "checkpointed": "block", "inference": "inference"}
# The ops of a profile in groups, and their colours in the picture.
GROUPS = (("convolutions, forward", "#1f5fa8"), ("convolutions, backward", "#6aa9e0"),
          ("batch norm", "#d98c1f"), ("other maps", "#5a9e5a"), ("linear", "#8c6bb1"),
          ("optimiser", "#b03a3a"), ("data and rest", "#aaaaaa"))
COLOUR = {"training": "#1f5fa8", "checkpointed": "#d98c1f", "inference": "#5a9e5a"}


# --- Measuring -----------------------------------------------------------------------------------

def flops_of_position(p):
    """About what one position costs forward: to choose how many steps are run."""
    weights = p["channels"] ** 2 * (9 if p["kind"] == "dense" else 1.5) + 100 * p["channels"]
    cells = p["board"] ** 2
    return 2 * cells * (2 * p["blocks"] * weights + 32 * cells + 4096)


def measure(p, mode, seconds, tries):
    step = p["batch"] * flops_of_position(p) * (1 if mode == "inference" else 3)
    steps = int(min(99, max(3, seconds * 4e10 * p["threads"] / step)))
    if mode == "by op":
        words = ("--num-blocks", p["blocks"], "--channels", p["channels"], "--batch-size",
                 p["batch"], "--board-size", p["board"], "--conv", p["kind"], "--threads",
                 p["threads"], "--steps", steps, "--data", common.games(p["board"]))
        result = common.between_peaks(lambda: common.profile(words, common.BUILD + "/bench-run"),
                                      tries, p["threads"])
    else:
        words = [common.BUILD + "/bench_step", p["blocks"], p["channels"], p["batch"], MODES[mode],
                 steps, "board=%d" % p["board"], "threads=%d" % p["threads"]]
        words += ["separable"] if p["kind"] == "separable" else []
        result = common.between_peaks(lambda: common.run(words), tries, p["threads"])
    return {**p, "mode": mode, "steps": steps, **result}


def points(plan, axis):
    """The points of an axis; the one at the base is the same for all."""
    return [{**plan["base"], axis: number, "kind": kind} for kind in KINDS for number in plan[axis]]


def key(line):
    return tuple(line[word] for word in AXES + ("kind", "mode"))


def measure_axes(plan, axes, held, seconds, tries):
    fresh = set()
    for axis in axes:
        for point in points(plan, axis):
            for mode in list(MODES) + ["by op"]:
                if key({**point, "mode": mode}) in fresh:
                    continue
                line = measure(point, mode, seconds, tries)
                held[key(line)] = line
                fresh.add(key(line))
                print("%-9s %3d blocks %3d channels batch %3d %2dx%-2d %d threads  %-12s %9.4f s%s"
                      % (line["kind"], line["blocks"], line["channels"], line["batch"],
                         line["board"], line["board"], line["threads"], mode, line["seconds"],
                         "" if line["still"] else " ~"), file=sys.stderr, flush=True)


# --- Tables --------------------------------------------------------------------------------------

def grouped(line):
    """Seconds of a step by group."""
    sums = {name: 0.0 for name, _ in GROUPS}
    for row in line["rows"]:
        op, backward = row["op"], row["pass"] == "backward"
        if "conv2d" in op:
            name = "convolutions, backward" if backward else "convolutions, forward"
        elif op == "batch_norm":
            name = "batch norm"
        elif op == "linear":
            name = "linear"
        elif row["pass"] in ("optimiser", "data"):
            name = "optimiser" if row["pass"] == "optimiser" else "data and rest"
        else:
            name = "other maps"
        sums[name] += row["seconds"]
    sums["data and rest"] += line["other_seconds"]
    return sums


def print_axis(plan, axis, held):
    base = plan["base"]
    print("\nagainst %s; else %d blocks, %d channels, batch %d, %dx%d, %d threads" % (
        axis, base["blocks"], base["channels"], base["batch"], base["board"], base["board"],
        base["threads"]))
    print("%-9s %8s" % ("", axis) + "".join(" |%31s" % mode for mode in MODES) +
          " | a training step by op, ms")
    print("%-9s %8s" % ("", "") + " | positions/s     ms    MiB /peak" * 3 + " |" +
          "".join(" %13s" % name.replace("convolutions,", "conv")
                  for name, _ in GROUPS))
    for point in points(plan, axis):
        cells = "%-9s %8d" % (point["kind"], point[axis])
        for mode in MODES:
            line = held[key({**point, "mode": mode})]
            cells += " | %10.1f%s %7.1f %6.1f  %.2f" % (
                line["positions_per_second"], " " if line["still"] else "~", 1e3 * line["seconds"],
                line["total_bytes"] / 2 ** 20, line["share"])
        line = held[key({**point, "mode": "by op"})]
        cells += " |" + "".join(" %13.2f" % (1e3 * s) for s in grouped(line).values())
        print(cells + ("" if line["still"] else " ~"))


# --- The picture ---------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, TOP, GAP, SPACE = 200, 150, 70, 110, 42, 72


def spot(row, column):
    return LEFT + column * (WIDTH + GAP), TOP + row * (HEIGHT + SPACE)


def frame(picture, x, y, title):
    picture.line(x, y + HEIGHT, x + WIDTH, y + HEIGHT)
    picture.text(x, y - 7, title, 11, fill=FAINT)


def draw_lines(picture, plan, held, row, value):
    """A row of panels with one scale: value(line) of each mode and kind against each axis."""
    at = {axis: points(plan, axis) for axis in AXES}
    all_values = [value(held[key({**p, "mode": m})]) for axis in AXES for p in at[axis]
                  for m in MODES]
    for column, axis in enumerate(AXES):
        x, y = spot(row, column)
        over = Log(min(plan[axis]), max(max(plan[axis]), 1.01), x + 8, x + WIDTH - 8)
        up = Log(min(all_values) / 1.3, max(all_values) * 1.3, y + HEIGHT, y)
        frame(picture, x, y, "against " + axis)
        for tick in up.ticks((1, 2, 5) if up.span < 2.5 else (1,)):
            picture.line(x, up(tick), x + WIDTH, up(tick), GRID)
            picture.text(x - 5, up(tick) + 4, short(tick), 10, "end", FAINT)
        for number in plan[axis]:
            picture.text(over(number), y + HEIGHT + 14, str(number), 10, "middle", FAINT)
        for mode in MODES:
            for kind in KINDS:
                path = [(over(p[axis]), up(value(held[key({**p, "mode": mode})])))
                        for p in at[axis] if p["kind"] == kind]
                picture.path(path, COLOUR[mode], dash="" if kind == "dense" else "4 3")
                for px, py in path:
                    picture.dot(px, py, 2.6, COLOUR[mode])


def draw_bars(picture, plan, held, row, kind):
    """A row of panels: the shares of a training step by op."""
    for column, axis in enumerate(AXES):
        x, y = spot(row, column)
        frame(picture, x, y, "against " + axis)
        slot = WIDTH / len(plan[axis])
        for i, number in enumerate(plan[axis]):
            line = held[key({**plan["base"], axis: number, "kind": kind, "mode": "by op"})]
            top, sums = y + HEIGHT, grouped(line)
            for name, colour in GROUPS:
                height = HEIGHT * sums[name] / line["seconds"]
                top -= height
                picture.rect(x + i * slot + 3, top, slot - 6, height, colour)
            picture.text(x + (i + 0.5) * slot, y + HEIGHT + 14, str(number), 10, "middle", FAINT)
        for share in (0, 50, 100):
            picture.text(x - 5, y + HEIGHT * (1 - share / 100) + 4, "%d %%" % share, 10, "end",
                         FAINT)


def legend(picture, y, entries):
    x = LEFT
    for words, colour, dash in entries:
        if dash is None:
            picture.rect(x, y - 9, 11, 11, colour)
        else:
            picture.line(x, y - 4, x + 22, y - 4, colour, 2, dash)
        picture.text(x + (16 if dash is None else 27), y, words, 11)
        x += 45 + 6.3 * len(words)


def draw(plan, held, about):
    rows = ("positions a second", "memory, MiB", "a dense training step by op",
            "a separable training step by op")
    picture = Picture(LEFT + 5 * (WIDTH + GAP), TOP + 4 * (HEIGHT + SPACE) + 10,
                      "GomokuNet: how training and inference scale")
    picture.text(LEFT, 22, "How training and inference scale", 16, bold=True)
    picture.text(LEFT, 40, about, 11, fill=FAINT)
    legend(picture, 62, [(mode, COLOUR[mode], "") for mode in MODES] +
           [("dense", INK, ""), ("separable", INK, "4 3")])
    draw_lines(picture, plan, held, 0, lambda line: line["positions_per_second"])
    draw_lines(picture, plan, held, 1, lambda line: line["total_bytes"] / 2 ** 20)
    for row, kind in enumerate(KINDS, 2):
        draw_bars(picture, plan, held, row, kind)
    for row, title in enumerate(rows):
        picture.text(LEFT, spot(row, 0)[1] - 22, title, 12, bold=True)
    legend(picture, TOP + 4 * (HEIGHT + SPACE) - 15, [(name, c, None) for name, c in GROUPS])
    picture.save(SVG)


def main():
    options = argparse.ArgumentParser(description="how training and inference scale")
    options.add_argument("--axes", default=",".join(AXES), help="of " + ", ".join(AXES))
    options.add_argument("--quick", action="store_true", help="a smaller network, fewer points")
    options.add_argument("--tries", type=int, default=2, help="runs until one is still (2)")
    options.add_argument("--draw", action="store_true", help="from the file of the last run")
    chosen = options.parse_args()
    axes = chosen.axes.split(",")
    if not set(axes) <= set(AXES):
        sys.exit("scale: --axes %s: expected some of %s" % (chosen.axes, ",".join(AXES)))
    plan = QUICK if chosen.quick else FULL
    held = {key(line): line for line in common.read_lines(LOG)}
    if not chosen.draw:
        measure_axes(plan, axes, held, 0.1 if chosen.quick else 0.5, chosen.tries)
        common.write_lines(LOG, list(held.values()))
    whole = [axis for axis in AXES if all(key({**p, "mode": m}) in held for p in points(plan, axis)
                                          for m in list(MODES) + ["by op"])]
    isa = common.run([common.PROGRAM, "info", "--json"])["isa"]
    peaks = [line["peak"] for line in held.values() if line["threads"] == CORES]
    base = plan["base"]
    about = "%s, %d threads, peak %.0f to %.0f GFLOP/s; %d blocks, %d channels, batch %d, %dx%d" % (
        isa, CORES, min(peaks), max(peaks), base["blocks"], base["channels"], base["batch"],
        base["board"], base["board"])
    print(about)
    for axis in whole:
        print_axis(plan, axis, held)
    if len(whole) < len(AXES):
        print("\nno picture: %s not measured yet" % ", ".join(a for a in AXES if a not in whole))
        return
    draw(plan, held, about + ", and from there one at a time")
    print("\n%s and %s written" % (LOG, SVG))


if __name__ == "__main__":
    main()
