"""Makes tests/data/npy with NumPy: what another writer's arrays look like.

    python make_npy.py            # needs numpy
    python make_npy.py --read DIR # checks that NumPy reads every *.npy that cotenant wrote to DIR
                                  # (tests/files/npy.cpp keeps them where COTENANT_KEEP_FILES says)

The tests need only the files, not this script.
"""
import pathlib
import sys

import numpy

here = pathlib.Path(__file__).parent / "npy"


def ramp(count, dtype):
    """Element i is i - 3 (as a bool: i is odd; unsigned: i)."""
    if dtype == "|b1":
        return numpy.arange(count) % 2 == 1
    return (numpy.arange(count) - (0 if dtype == "|u1" else 3)).astype(dtype)


def arrays():
    return {
        "f4": ramp(12, "<f4").reshape(3, 4),
        "f4_fortran": numpy.asfortranarray(ramp(24, "<f4").reshape(2, 3, 4)),
        "f2": ramp(6, "<f2").reshape(2, 1, 3),
        "i1": ramp(7, "|i1"),
        "u1": ramp(3, "|u1"),
        "i4": ramp(4, "<i4").reshape(2, 2),
        "i8": ramp(2, "<i8"),
        "b1": ramp(9, "|b1").reshape(3, 3),
        "v2": ramp(5, "<f4").view("<u4").__rshift__(16).astype("<u2").view("V2"),  # bf16, as ml_dtypes writes it
        "scalar": numpy.array(2.5, dtype="<f4"),
        "empty": numpy.zeros((0, 4), dtype="<f4"),
        "f4_big": ramp(3, ">f4"),
        "f8": ramp(3, "<f8"),
        "u2": ramp(3, "<u2"),
        "c8": ramp(3, "<c8"),
        "records": numpy.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]),
        "rank9": numpy.zeros([1] * 9, dtype="<f4"),
    }


def write():
    here.mkdir(exist_ok=True)
    for name, array in arrays().items():
        numpy.save(here / f"{name}.npy", array)
    for version in (2, 3):
        with open(here / f"version{version}.npy", "wb") as file:
            numpy.lib.format.write_array(file, ramp(12, "<f4").reshape(3, 4), version=(version, 0))


def read(folder):
    known = arrays()
    checked = 0
    for path in sorted(pathlib.Path(folder).glob("*.npy")):
        array = numpy.load(path)
        wanted = known[path.stem]
        assert array.dtype == wanted.dtype and array.shape == wanted.shape, (path, array.dtype, array.shape)
        assert array.tobytes() == wanted.tobytes(), path
        assert array.flags.f_contiguous == wanted.flags.f_contiguous and array.flags.c_contiguous == wanted.flags.c_contiguous, path
        checked += 1
    print(f"{checked} files read by NumPy {numpy.__version__}")
    assert checked > 0


if __name__ == "__main__":
    read(sys.argv[2]) if sys.argv[1:2] == ["--read"] else write()
