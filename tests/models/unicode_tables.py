#!/usr/bin/env python3
"""Writes include/cotenant/models/unicode_tables.hpp: the character properties that models/unicode.hpp looks up.

    python3 tests/models/unicode_tables.py            # writes the header
    python3 tests/models/unicode_tables.py --check    # fails where the header is not what this script writes

The source is Python's unicodedata 14.0 (Python 3.11). The aim is to classify every code point as the `tokenizers`
package does. That package froze its properties at Unicode 8 (categories) and 9 (normalisation), and takes lower case
from a newer standard than 14; the differences are listed below. They were found by comparing every code point with
tokenizers 0.23, and tests/data/wordpiece/unicode.txt keeps that comparison.
"""
import pathlib
import sys
import unicodedata

header = pathlib.Path(__file__).resolve().parents[2] / "include/cotenant/models/unicode_tables.hpp"

# Nonspacing marks, punctuation and format characters that are younger than Unicode 8.
YOUNGER = """7FD 898-89F 8CA-8E1 9FE AFA-AFF B55 C04 C3C D00 D3B-D3C D81 EBA 180F 1885-1886 1ABF-1ACE 1DF6-1DFB A82C A8C5
A8FF A9BD 10D24-10D27 10EAB-10EAC 10F46-10F50 10F82-10F85 11070 11073-11074 110C2 111C9 111CF 1123E 1133B 11438-1143F
11442-11444 11446 1145E 1182F-11837 11839-1183A 1193B-1193C 1193E 11943 119D4-119D7 119DA-119DB 119E0 11A01-11A0A
11A33-11A38 11A3B-11A3E 11A47 11A51-11A56 11A59-11A5B 11A8A-11A96 11A98-11A99 11C30-11C36 11C38-11C3D 11C3F 11C92-11CA7
11CAA-11CB0 11CB2-11CB3 11CB5-11CB6 11D31-11D36 11D3A 11D3C-11D3D 11D3F-11D45 11D47 11D90-11D91 11D95 11D97 11EF3-11EF4
16F4F 16FE4 1CF00-1CF2D 1CF30-1CF46 1E000-1E006 1E008-1E018 1E01B-1E021 1E023-1E024 1E026-1E02A 1E130-1E136 1E2AE
1E2EC-1E2EF 1E944-1E94A 2E5D 10EAD 2E56 2E58 2E5A 2E5C 61D 9FD A76 C77 C84 1B7D-1B7E 2E43-2E4F 2E52-2E54 10F55-10F59
10F86-10F89 1144B-1144F 1145A-1145B 1145D 11660-1166C 116B9 1183B 11944-11946 119E2 11A3F-11A46 11A9A-11A9C 11A9E-11AA2
11C41-11C45 11C70-11C71 11EF7-11EF8 11FFF 12FF1-12FF2 16E97-16E9A 16FE2 1E95E-1E95F 2E55 2E57 2E59 2E5B 890-891 8E2
110CD 13430-13438"""
# Code points whose category changed after Unicode 8.
MARKS_THEN = "1734"              # now Mc
PUNCTUATION_THEN = "111C9 166D"  # now Mn and So
# Combining classes and decompositions younger than the package's normalisation data.
UNORDERED = """7FD 898-89F 8CA-8D3 9FE C3C D3B-D3C EBA 1715 1ABF-1ACE 1DF6-1DFA A82C 10D24-10D27 10EAB-10EAC 10F46-10F50
10F82-10F85 11070 1133B 1145E 11839-1183A 11938 1193D-1193E 11943 119E0 11A34 11A47 11A99 11D42 11D44-11D45 11D97
16FF0-16FF1 1E130-1E136 1E2AE 1E2EC-1E2EF"""
# Lower case younger than Unicode 14: first, last, step, distance.
YOUNGER_LOWER = [(0x1C89, 0x1C89, 1, 1), (0xA7CB, 0xA7CB, 1, 0x264 - 0xA7CB), (0xA7CC, 0xA7CE, 2, 1), (0xA7D2, 0xA7D4, 2, 1),
                 (0xA7DA, 0xA7DA, 1, 1), (0xA7DC, 0xA7DC, 1, 0x19B - 0xA7DC), (0x10D50, 0x10D65, 1, 32), (0x16EA0, 0x16EB8, 1, 27)]

points = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def expand(text):
    result = set()
    for item in text.split():
        first, _, last = item.partition("-")
        result.update(range(int(first, 16), int(last or first, 16) + 1))
    return result


def ranges(members):
    """Sorted code points as [first, last] pairs."""
    result = []
    for c in sorted(members):
        if result and result[-1][1] + 1 == c:
            result[-1][1] = c
        else:
            result.append([c, c])
    return result


def lower_ranges():
    """(first, last, step, distance), sorted: every step-th code point of [first, last] is lower-cased by adding distance."""
    result = []
    for c in points:
        lower = chr(c).lower()
        if lower == chr(c) or c == 0x130:  # U+0130 becomes two code points; unicode.hpp writes them out
            continue
        distance = ord(lower) - c
        last = result[-1] if result else None
        if last and last[3] == distance and (c - last[1] == last[2] or (last[0] == last[1] and c - last[1] <= 2)):
            last[2] = c - last[1]
            last[1] = c
        else:
            result.append([c, c, 1, distance])
    return sorted(result + [list(entry) for entry in YOUNGER_LOWER])


def table(kind, name, comment, rows):
    lines = [f"// {comment}", f"inline constexpr {kind} {name}[] = {{"]
    line = "   "
    for row in rows:
        if len(line) + len(row) + 2 > 150:
            lines.append(line)
            line = "   "
        line += " " + row + ","
    return "\n".join(lines + [line, "};"]) + "\n"


def text():
    category = {c: unicodedata.category(chr(c)) for c in points}
    younger, unordered = expand(YOUNGER), expand(UNORDERED)
    marks = {c for c in points if category[c] == "Mn"} - younger | expand(MARKS_THEN)
    ascii_punctuation = {c for c in range(128) if chr(c).isprintable() and not chr(c).isalnum() and c != 32}
    punctuation = {c for c in points if category[c][0] == "P"} - younger | ascii_punctuation | expand(PUNCTUATION_THEN)
    # Tab, line feed and carriage return count as spaces, not as control characters.
    removed = {c for c in points if category[c] in ("Cc", "Cf", "Co")} - younger - {9, 10, 13} | {0xFFFD}
    spaces = {c for c in points if chr(c).isspace() and not 0x1C <= c <= 0x1F}
    classes = {}
    for c in points:
        if unicodedata.combining(chr(c)) and c not in unordered:
            classes.setdefault(unicodedata.combining(chr(c)), set()).add(c)
    class_rows = sorted([first, last, value] for value, members in classes.items() for first, last in ranges(members))
    pool, entries = [], []
    for c in points:
        whole = unicodedata.normalize("NFD", chr(c))
        if whole != chr(c) and not 0xAC00 <= c <= 0xD7A3 and c not in unordered:  # Hangul is decomposed by arithmetic
            entries.append((c, len(pool), len(whole)))
            pool.extend(ord(x) for x in whole)
    pair = lambda row: "{" + ", ".join(f"0x{c:X}" for c in row) + "}"
    return "\n".join([
        "// Generated by tests/models/unicode_tables.py from Unicode 14.0: do not edit. Character properties as BERT's tokenizer needs them.",
        "#ifndef COTENANT_MODELS_UNICODE_TABLES_HPP",
        "#define COTENANT_MODELS_UNICODE_TABLES_HPP",
        "#include <cstdint>",
        "",
        "namespace cotenant::unicode {",
        "",
        "// Code points [first, last]. All tables are sorted.",
        "struct Range { char32_t first, last; };",
        "// Every step-th code point of [first, last] has its lower case at + distance.",
        "struct CaseRange { char32_t first, last; std::uint8_t step; std::int32_t distance; };",
        "struct ClassRange { char32_t first, last; std::uint8_t combining_class; };",
        "// The full canonical decomposition: `length` code points of decomposition_pool from `begin`.",
        "struct Decomposition { char32_t code_point; std::uint16_t begin; std::uint8_t length; };",
        "",
        table("Range", "nonspacing_marks", "Category Mn.", map(pair, ranges(marks))),
        table("Range", "punctuation", "Categories P*, and every printable ASCII character that is neither letter nor digit.", map(pair, ranges(punctuation))),
        table("Range", "removed", "Categories Cc (without tab, line feed, carriage return), Cf, Co, and U+FFFD.", map(pair, ranges(removed))),
        table("Range", "spaces", "Property White_Space.", map(pair, ranges(spaces))),
        table("CaseRange", "lower_case", "Simple lower case.", (f"{{0x{a:X}, 0x{b:X}, {s}, {d}}}" for a, b, s, d in lower_ranges())),
        table("ClassRange", "combining_classes", "Canonical combining classes other than 0.", (f"{{0x{a:X}, 0x{b:X}, {v}}}" for a, b, v in class_rows)),
        table("Decomposition", "decompositions", "Canonical decompositions, without Hangul.", (f"{{0x{c:X}, {b}, {n}}}" for c, b, n in entries)),
        table("char32_t", "decomposition_pool", "What they point into.", (f"0x{c:X}" for c in pool)),
        "}  // namespace cotenant::unicode",
        "",
        "#endif",
        ""])


def main():
    if unicodedata.unidata_version != "14.0.0":
        # Another Python makes other tables, so it cannot tell whether these are right; Debian 12's can.
        if sys.argv[1:] == ["--check"]:
            print(f"{header.name} is not compared: that needs Unicode 14.0 (Python 3.11), and this Python has {unicodedata.unidata_version}")
            return
        sys.exit(f"tests/models/unicode_tables.py needs Unicode 14.0 (Python 3.11); this Python has {unicodedata.unidata_version}")
    content = text()
    if sys.argv[1:] == ["--check"]:
        if not header.exists() or header.read_text() != content:
            sys.exit(f"{header} is not what tests/models/unicode_tables.py writes: run it and commit the result")
        print(f"{header.name} is up to date")
    else:
        header.write_text(content)


if __name__ == "__main__":
    main()
