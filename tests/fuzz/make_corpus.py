#!/usr/bin/env python3
"""Makes tests/fuzz/corpus: one small file for each kind of thing that readers were caught with.

The kinds are those of the safetensors reference tests and of its audit's attacks, of GGUF's
handcrafted headers, and of npy and npz readers that crashed; the files are made here.
Needs Python alone.
"""
import io
import os
import struct
import warnings
import zipfile

BASE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def put(harness, name, content):
    os.makedirs(os.path.join(BASE, harness), exist_ok=True)
    with open(os.path.join(BASE, harness, name), "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())


# --- safetensors ---------------------------------------------------------------------------------

def safetensors(header, data=b"", length=None):
    header = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def tensor(name="a", dtype="U8", shape="[1]", offsets="[0,1]"):
    return f'"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}'


def header(*tensors):
    return "{" + ",".join(tensors) + "}"


def make_safetensors():
    types = header('"__metadata__":{"k":"v\\u00e9\\ud83d\\ude00"}', tensor("f", "F32", "[2,1]", "[0,8]"),
                   tensor("d", "F64", "[]", "[8,16]"), tensor("i", "I32", "[1]", "[16,20]"),
                   tensor("l", "I64", "[0,3]", "[20,20]"), tensor("b", "BOOL", "[4]", "[20,24]"))
    blanks = ('{\n\t"b" : { "shape" : [ 1 , 0 ] , "data_offsets":[1,1],\r\n"dtype":"F32" } ,'
              + tensor() + ',"__metadata__":{}}')
    overlap = header(*(tensor(f"t{i}", "U8", "[16]", "[0,16]") for i in range(20)))
    files = {
        "empty": ("{}",), "one": (header(tensor()), b"\1"), "blanks": (blanks, b"\1"),
        "types": (types + "  ", bytes(20) + b"\0\1\1\0"),
        "zero-sized": (header(tensor("a", "F32", "[2,0]", "[0,0]")),),
        "length-too-large": ("{}", b"", 1 << 63), "length-beyond-file": ("{}", b"", 100),
        "invalid-utf8": (b'{"\xff":1}',), "no-json": ("{x",), "leading-blank": (" {}",),
        "attack-overlap": (overlap, bytes(16)),
        "attack-hole": (header(tensor(), tensor("b", "U8", "[1]", "[2,3]")), bytes(3)),
        "attack-polyglot": (header(tensor()), b"\1PK\5\6" + bytes(18)),
        "duplicate": (header(tensor(), tensor("\\u0061", "U8", "[1]", "[1,2]")), bytes(2)),
        "overflow": (header(tensor("a", "F64", "[4294967296,4294967296,3]", "[0,0]")),),
        "wrong-offsets": (header(tensor("a", "F32", "[2]", "[0,4]")), bytes(4)),
        "end-before-begin": (header(tensor("a", "U8", "[1]", "[1,0]")), bytes(1)),
        "bool-of-two": (header(tensor("a", "BOOL")), b"\2"),
        "nine-dimensions": (header(tensor("a", "U8", "[1,1,1,1,1,1,1,1,1]")), b"\1"),
        "half-precision": (header(tensor("a", "F16", "[1]", "[0,2]")), bytes(2)),
        "climbs": (header(tensor("../a")), b"\1"), "exponent": (header(tensor("a", "U8", "[1e0]")), b"\1"),
        "nested": ('{"a":' * 6 + "1" + "}" * 6,),
    }
    for name, arguments in files.items():
        put("safetensors", name, safetensors(*arguments))
    put("safetensors", "length-cut", b"\2\0\0")
    put("safetensors", "pickle", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.")


# --- npy and npz ---------------------------------------------------------------------------------

def npy(descr="<f4", shape="(2,)", data=bytes(8), version=1, order="False", text=None):
    text = text or f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}"
    before = 10 if version == 1 else 12
    text += " " * (-(before + len(text) + 1) % 64) + "\n"
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode() + data


def make_npy():
    twice = "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}"
    code = "{'descr': '<f4', 'fortran_order': False, 'shape': (__import__('os'),)}"
    record = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }"
    files = {
        "float": npy(), "version-2": npy(version=2), "version-3": npy(version=3),
        "scalar": npy("<i8", "()"), "bool": npy("|b1", "(2, 1)", b"\0\1"), "double": npy("<f8", "(1,)"),
        "u1": npy("|u1", "(8,)"), "i4": npy("<i4", "(0, 5)", b""), "bool-of-two": npy("|b1", "(1,)", b"\2"),
        "big-endian": npy(">f4"), "object": npy("|O"), "fortran": npy(order="True"),
        "record": npy(text=record), "twice": npy(text=twice), "code": npy(text=code),
        "overflow": npy(shape="(4294967296, 4294967296, 2)"), "short": npy(shape="(3,)"),
        "nine-dimensions": npy(shape="(1,1,1,1,1,1,1,1,2)"), "negative": npy(shape="(-2,)"),
        "four-gigabytes": b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "length-lies": b"\x93NUMPY\1\0\xff\xff{}",
        "version-4": b"\x93NUMPY\4\0" + npy()[8:], "nothing": b"",
    }
    for name, content in files.items():
        put("npy", name, content)


def npz(items, method=zipfile.ZIP_STORED, wide=False, comment=b""):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in items:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            with archive.open(info, "w", force_zip64=wide) as member:
                member.write(content)
        archive.comment = comment
    return out.getvalue()


def patched(content, *changes):
    content = bytearray(content)
    for at, piece in changes:
        content[at:at + len(piece)] = piece
    return bytes(content)


def wide_end(content):
    """The same with the zip64 records behind the directory."""
    start, end = content.index(b"PK\1\2"), content.index(b"PK\5\6")
    record = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 2, 2, end - start, start)
    locator = b"PK\6\7" + struct.pack("<IQI", 0, end, 1)
    ones = 0xFFFFFFFF
    return content[:end] + record + locator + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 2, 2, ones, ones, 0)


def make_npz():
    two = [("a.npy", npy()), ("input/b.npy", npy("<i8", "()"))]
    good, deflated = npz(two), npz(two, zipfile.ZIP_DEFLATED)
    directory, gigabyte = good.index(b"PK\1\2"), struct.pack("<I", 1 << 30)
    packed = deflated.index(b"PK\1\2")
    # an entry without room for what it says, and no directory
    tiny = (b"PK\3\4\x14\0\0\0\0\0\0\0\x21\0" + bytes(4) + b"\n\0\0\0\n\0\0\0\5\0\0\0a.npy\x93NUMPY\1\0v\0"
            + b"PK\5\6" + bytes(4) + b"\1\0\1\0\1\0\0\0-\0\0\0\0\0")
    meta, no_meta = npy("|u1", "(9,)", b'{"a":"b"}'), npy("|u1", "(2,)", b"{1")
    files = {
        "stored": good, "deflated": deflated, "wide-sizes": npz(two, wide=True), "wide-end": wide_end(good),
        "empty": npz([]), "comment": npz(two, comment=b"x"), "bzip2": npz(two, zipfile.ZIP_BZIP2),
        "other-name": npz([("a.txt", npy())]), "climbs": npz([("../a.npy", npy())]),
        "pickle": npz([("archive/data.pkl", b"\x80\2}q\0.")]), "twice": npz([two[0], two[0]]),
        "metadata": npz([("__metadata__.npy", meta)] + two), "no-metadata": npz([("__metadata__.npy", no_meta)]),
        "behind": good + b"x", "in-front": b"x" + good, "cut": good[:-9], "tiny": tiny,
        "crc": good.replace(npy(), npy(data=bytes(7) + b"\1"), 1),
        "encrypted": patched(good, (6, b"\1"), (directory + 8, b"\1")),
        "streamed": patched(good, (6, b"\10"), (directory + 8, b"\10")),
        "method-differs": patched(good, (8, b"\10")), "name-differs": patched(good, (30, b"b")),
        "bomb": patched(deflated, (22, gigabyte), (packed + 24, gigabyte)),
        "entries-overlap": patched(good, (good.index(b"PK\1\2", directory + 1) + 42, bytes(4))),
    }
    for name, content in files.items():
        put("npz", name, content)


# --- Edits of a candidate ------------------------------------------------------------------------

def edits(*list_of):
    """(what, tensor, element, value); the numbers of `what` are those of verify.c."""
    return b"".join(struct.pack("<BHBI", *edit) for edit in list_of)


def make_verify():
    files = {
        "none": b"", "nan": edits((0, 40, 3, 0x7FC00000)), "infinity": edits((0, 41, 0, 0x7F800000)),
        "dropped": edits((2, 60, 0, 0)), "turned": edits((3, 50, 0, 64 + 4 * 2)), "flat": edits((3, 70, 0, 1)),
        "another-type": edits((4, 30, 0, 1)), "renamed": edits((5, 33, 0, 7)), "copied": edits((6, 33, 0, 35)),
        "one-ulp": edits((7, 90, 0, 1)), "zeros": edits(*((1, i, 0, 0) for i in range(0, 200, 5))),
        "largest": edits(*((1, i, 0, 0x7F7FFFFF) for i in range(3, 20))),
        "denormal": edits(*((0, i, i, 1) for i in range(20, 60))),
        "many": edits(*((i % 8, i * 7, i, i * 65537) for i in range(40))),
    }
    for name, content in files.items():
        put("verify", name, content)
        if content:  # the same of inference
            put("verify", name + "-inference", bytes([content[0] | 64]) + content[1:])
    put("verify", "none-inference", b"@")


# --- Game records --------------------------------------------------------------------------------

def make_games():
    board, win = "Piskvorky 15x15, 1:1, 0\n", ""
    for i in range(5):
        win += f"{i + 1},1,50\n" + (f"{i + 1},2,50\n" if i < 4 else "")
    psq = {
        "good": board + "8,8,2\n9,9,15021\n8,9,3000\nA.zip\nB.zip\n-1\n0,Freestyle15_1\n",
        "standard": "Piskvorky 20x20, 1:1, 0\r\n10,10,1\r\n11,11,2\r\nA\r\nB\r\n-1\r\n0,Standard2\r\n",
        "win": "Piskvorky 5x5, 1:1, 0\n" + win + "A\nB\n-1\n", "cut": board + "8,8,2\n", "nothing": "",
        "off": board + "8,16,2\nA\nB\n-1\n", "taken": board + "8,8,2\n8,8,2\nA\nB\n-1\n",
        "size": "Piskvorky 26x26, 1:1, 0\n-1\n", "oblong": "Piskvorky 15x20, 1:1, 0\n8,8,2\nA\nB\n-1\n",
        "huge": board + "99999999999999999999,1,1\nA\nB\n-1\n",
    }
    five = "5 freestyle 0 0,0 0,1 1,0 1,1 2,0 2,1 3,0 3,1 4,0"
    gomoku = {
        "good": "# a comment\n15 freestyle 3 7,7 8,8 7,6 6,6 7,5\n\n9\tstandard 0 4,4 win # said\n"
                "15 renju 3 7,7 7,8 8,8 draw\n",
        "win": five + "\n", "after-a-win": five + " 4,1\n", "taken": "15 freestyle 0 7,7 7,7\n",
        "rule": "15 chess 0 1,1\n", "opening": "15 freestyle 9 1,1\n", "nul": "15 freestyle 0 1,1\0 2,2\n",
        "long": "15 freestyle 0 " + "1,1 " * 2100, "number": "15 freestyle 0 -1,1 1e1,2\n", "blank": " \t\r\n",
    }
    first = '{"board_state": [112], "next_move": -97}'
    json = {
        "good": f'[{first}, {{"board_state": [-97, 112], "next_move": 0}},\n'
                ' {"board_state": [0, -97, 112], "next_move": -224}]\n',
        "one": f"[{first}]", "empty": "[]", "nothing": "", "object": "{}", "cut": "[" + first,
        "comma": f"[{first},]", "side": '[{"board_state": [112], "next_move": 97}]',
        "beyond": '[{"board_state": [225], "next_move": -97}]',
        "missing": f'[{first},{{"board_state": [112], "next_move": 96}}]',
        "exponent": '[{"board_state": [1e1], "next_move": 2}]', "deep": "[" * 40,
    }
    doubled = '<!DOCTYPE d [<!ENTITY a "h8 "><!ENTITY b "&a;&a;&a;&a;">]>'
    rif = {
        "good": "<?xml version='1.0'?><database><game bresult='1'><move>h8 i9 \n a1 o15</move><info>h1"
                "</info></game><game bresult='0'><move/></game><game bresult='0.5'><move>h8 g7</move>"
                "</game></database>",
        "beyond": "<d><game><move>h8 p1</move></game></d>", "open": "<d>", "mixed": "<d></e>",
        "cut": "<game><move>h8", "taken": "<d><game><move>h8 h8</move></game></d>",
        "nested": "<d><game><game><move>h8<move>i9</move></move></game></game></d>",
        "entities": doubled + "<d><game><move>&b;&b;</move></game></d>",
    }
    for harness, files in (("psq", psq), ("gomoku", gomoku), ("json", json), ("rif", rif)):
        for name, content in files.items():
            put(harness, name, content)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of zipfile, about names that stand twice
    make_safetensors()
    make_npy()
    make_npz()
    make_verify()
    make_games()
