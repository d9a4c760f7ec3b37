# SPDX-License-Identifier: MIT
"""Holds the page's examples and the library against the fresh implementation: check.py FOLDER,
where `dump` wrote, from the root of the repository.

From the seed and the inputs alone, every value, gradient, parameter, moment and running statistic
of every step is computed again; the first bit that differs is named.
"""
import array
import json
import multiprocessing
import pathlib
import struct
import sys
import time

import binary32
import examples
import net

SEED = 1


def read(path):
    """A safetensors file: metadata, shapes, float32 tensors as flat lists."""
    raw = path.read_bytes()
    size, = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8:8 + size])
    meta = header.pop("__metadata__", {})
    shapes, tensors = {}, {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        if entry["dtype"] == "F32":
            data = array.array("f", raw[8 + size + begin:8 + size + end])
            if sys.byteorder == "big":
                data.byteswap()
            shapes[name], tensors[name] = entry["shape"], data.tolist()
    return meta, shapes, tensors


class Difference(Exception):
    pass


def compare(where, want, got):
    """want: the library's tensor; got: ours, nested."""
    got = net.flat(got)
    if len(got) != len(want):
        raise Difference(f"{where}: {len(want)} elements, the page gives {len(got)}")
    for i, (a, b) in enumerate(zip(want, got)):
        if not binary32.same(a, b):
            raise Difference(f"{where}[{i}]: the library has {a.hex()}, the page gives {b.hex()}")
    return len(got)


def compare_all(where, shapes, tensors, prefix, ours):
    """Every tensor of the file whose name begins so, in the file's order."""
    names = [name for name in tensors if name.startswith(prefix)]
    missing = [name for name in names if name[len(prefix):] not in ours]
    if not names or missing:
        raise Difference(f"{where}: {prefix}*: {missing or 'nothing'} to compare")
    return sum(compare(f"{where}: {name}", tensors[name], ours[name[len(prefix):]])
               for name in names)


def inputs(shapes, tensors):
    return [net.shaped(tensors["data/input/" + name], shapes["data/input/" + name])
            for name in ("planes", "policy", "value")]


def numbers(meta):
    return {key: value if key in ("conv", "optimizer") else float(value)
            for key, value in meta.items()}


def run_net(state, h, training, given):
    run = net.Net(state, training)
    run.run(*given, int(h["blocks"]), h["conv"] == "separable")
    return run


def check_case(case):
    """All steps of a case: how many numbers were compared."""
    folder, name = case
    state, moments, powers, count = None, {}, [1.0, 1.0], 0
    for path in sorted(folder.glob(name + ".?.step")):
        where = path.name
        meta, shapes, tensors = read(path)
        _, state_shapes, after = read(path.with_suffix(".state"))
        h = numbers(meta)
        if state is None:
            expected = net.state_shapes(int(h["size"]), int(h["blocks"]), int(h["channels"]),
                                        h["conv"] == "separable")
            if [("value/" + key, dims) for key, dims in expected.items()] != [
                    item for item in state_shapes.items() if item[0].startswith("value/")]:
                raise Difference(f"{where}: names, shapes or order of the state differ")
            state = net.initial_state(expected, SEED)
        run = run_net(state, h, True, inputs(shapes, tensors))
        count += compare_all(where, shapes, tensors, "data/", run.value)
        run.backward()
        count += compare_all(where, shapes, tensors, "grad/", run.grad)
        norm = net.update(run, state, moments, powers, h)
        count += compare(where + ": gradient norm", [h["norm"]], norm)
        where = path.with_suffix(".state").name
        count += compare_all(where, state_shapes, after, "value/", state)
        count += compare_all(where, state_shapes, after, "first/",
                             {key: pair[0] for key, pair in moments.items()})
        if h["optimizer"] == "adamw":
            count += compare_all(where, state_shapes, after, "second/",
                                 {key: pair[1] for key, pair in moments.items()})
    path = folder / (name + ".inference")
    meta, shapes, tensors = read(path)
    run = run_net(state, numbers(meta), False, inputs(shapes, tensors))
    wanted = {key: value for key, value in tensors.items() if key.rsplit(":")[-1] not in "123"}
    return count + compare_all(path.name, shapes, wanted, "data/", run.value)


def attempt(case):
    started = time.process_time()
    try:
        return case[1], check_case(case), time.process_time() - started
    except Difference as difference:
        return case[1], str(difference), time.process_time() - started


def main(folder):
    binary32.selftest()
    page = pathlib.Path("docs/numerics.md").read_text(encoding="utf-8")
    print(f"ok    {examples.check(page)} numbers of the page's worked examples", flush=True)
    names = {path.name.split(".")[0] for path in folder.glob("*.step")}
    if not names:
        sys.exit(f"{folder}: no case; run dump first")
    bad = 0
    order = sorted(names, key=lambda name: -int(name.rsplit("-")[-1]))
    with multiprocessing.Pool(2) as pool:
        for name, found, seconds in pool.imap(attempt, [(folder, name) for name in order]):
            same = isinstance(found, int)
            bad += not same
            text = f"{found} numbers, every bit the same" if same else found
            print(f"{'ok   ' if same else 'DIFF '} {name}: {text} ({seconds:.0f} s)", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
