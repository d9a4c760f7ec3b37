#!/usr/bin/env python3
"""npz against numpy itself: what we write it loads, what it writes we take.

    npz.py GOMOKUNET    (a build with libzip; works in a temporary folder; needs numpy)
"""
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile

import numpy

PROGRAM = os.path.abspath(sys.argv[1])
TINY = "--board-size 5 --num-blocks 2 --channels 4 --batch-size 4 --threads 1".split()


def gomokunet(*arguments, status=0):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True)
    assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def digests(path):
    with open(path) as lines:
        return dict(reversed(line.split()) for line in lines if not line.startswith("#"))


def our_file_loads():
    want = digests("g.sha256")
    with numpy.load("g.npz", allow_pickle=False) as file:  # the whole of the metadata needs no pickle
        assert sorted(file.files) == sorted(["__metadata__", *want])
        for name, digest in want.items():
            assert hashlib.sha256(file[name].tobytes()).hexdigest() == digest, name
            assert file[name].flags.c_contiguous and file[name].dtype.str in ("<f4", "<i8"), name
        metadata = json.loads(file["__metadata__"].tobytes())
        assert metadata["board_size"] == "5" and metadata["level"] == "trace", metadata
        assert file["forward/blocks.0"].shape == (4, 4, 5, 5)
        arrays = {name: file[name] for name in file.files}
    with zipfile.ZipFile("g.npz") as archive:
        assert archive.testzip() is None
        assert all(i.date_time == (1980, 1, 1, 0, 0, 0) for i in archive.infolist())
    return arrays


def numpys_files_are_taken(arrays):
    for save in (numpy.savez, numpy.savez_compressed):
        save("n.npz", **arrays)
        for golden, candidate in (("g.safetensors", "n.npz"), ("n.npz", "g.npz"), ("n.npz", "n.npz")):
            said = gomokunet("verify", golden, candidate, "--require", "bits")
            assert "verdict: bits" in said, said
    changed = dict(arrays)
    changed["forward/value"] = -arrays["forward/value"]
    numpy.savez("n.npz", **changed)
    assert "forward/value" in gomokunet("verify", "g.npz", "n.npz", status=1)


def positions_of_any_type():
    planes = numpy.zeros((3, 5, 9, 9))
    planes[:, 3] = 1
    policy = numpy.zeros((3, 81), numpy.uint8)
    policy[:, 40] = 1
    for save in (numpy.savez, numpy.savez_compressed):
        for kind in ("<f4", "<f8", "<i4", "<i8", "|u1", "|b1"):
            save("p.npz", planes=planes.astype(kind), policy=policy.astype(kind),
                 value=numpy.array([0, 1, 1]).astype(kind))
            assert '"positions":3' in gomokunet("games", "--data", "p.npz", "--board-size", "9",
                                                "--json").replace(" ", ""), kind


def what_is_refused():
    good = numpy.zeros(4, "<f4")
    cases = {
        "expected the type": {"a": good.astype(">f4")}, "fortran_order": {"a": numpy.zeros((3, 4), order="F")},
        "expected the type ": {"a": numpy.array([{}], dtype=object)},
        "expected the type  ": {"a": numpy.zeros(2, [("x", "<f4"), ("y", "<i8")])},
        "expected the type   ": {"a": numpy.zeros(2, "<f2")}, "at most 8": {"a": numpy.zeros((1,) * 9)},
        "no part '.' or '..'": {"../a": good}, "__metadata__": {"__metadata__": good},
    }
    for said, arrays in cases.items():
        numpy.savez("bad.npz", **arrays)
        text = gomokunet("verify", "g.npz", "bad.npz", status=2)
        assert "bad.npz: " in text and said.strip() in text, text


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in ("g.npz", "g.safetensors", "g.sha256"):
            gomokunet("golden", *TINY, "--out", name)
        numpys_files_are_taken(our_file_loads())
        positions_of_any_type()
        what_is_refused()
        os.chdir("/")
    print(f"numpy {numpy.__version__}: all that we write it loads, all that it writes we take or refuse")


if __name__ == "__main__":
    main()
