#!/usr/bin/env python3
"""Writes single_include/cotenant/cotenant.hpp: all of cotenant in one header. With --check only compares.

Every other header directly in include/cotenant/ (vulkan.hpp) becomes a second file beside it: it includes cotenant.hpp
and holds what that one does not.

It also keeps the house rules of include/: floors, guards, no cycles. Everything it finds wrong is printed
with the file, the line and what to do, and the exit status is 1.

How the one header works. A header that includes <hwy/foreach_target.h> (the "door") compiles every -inl.hpp once
per CPU target. In one file that means: the file includes itself once per target, and in such a pass everything but
the -inl text is skipped:

    headers that the door needs      skipped in a target pass
    the door, with the -inl text     compiled in every pass
    headers that need the door       skipped in a target pass
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "include"
OUTPUT = ROOT / "single_include"
UMBRELLA = "cotenant/cotenant.hpp"

# A folder includes itself and lower floors.
FLOORS = {"core": 0, "storage": 1, "share": 1, "ops": 2, "files": 2, "ipc": 2,
          "reference": 3, "cpu": 3, "vulkan": 3, "webnn": 3, "interop": 3, "models": 4}
TOP = max(FLOORS.values()) + 1  # headers directly in include/cotenant/
# On these floors neighbours know each other (a tensor lies in a storage); on the others nothing goes sideways.
NEIGHBOURS = {1, 2}

DIRECTIVE = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif|else|endif)\b\s*(.*?)\s*(?://.*)?$")
INCLUDE_LINE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')
FOREACH = "hwy/foreach_target.h"

problems = []


def problem(header, line, text):
    problems.append(f"include/{header}:{line}: {text}")


def is_inl(name):
    return name.endswith("-inl.hpp")


def guard_of(name):
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


class Header:
    """One file: its lines, and for each include the conditions that it stands under (its guard not counted)."""

    def __init__(self, name):
        self.name = name
        self.lines = (INCLUDE / name).read_text(encoding="utf-8").splitlines()
        self.door = any(m and m[2] == FOREACH for m in map(INCLUDE_LINE.match, self.lines))
        self.own = []     # (line index, other header, conditions)
        self.system = []  # (line index, name, conditions)
        self.scan()

    def scan(self):
        guard = guard_of(self.name)
        stack = []  # one entry per open #if: None for the guard, else its condition so far
        guarded = False
        for index, line in enumerate(self.lines):
            if re.match(r"^\s*#\s*pragma\s+once", line):
                problem(self.name, index + 1, f"#pragma once: the single header includes itself, so write #ifndef {guard}")
            directive = DIRECTIVE.match(line)
            if directive:
                word, rest = directive[1], directive[2]
                if word in ("if", "ifdef", "ifndef"):
                    condition = {"if": f"({rest})", "ifdef": f"defined({rest})", "ifndef": f"!defined({rest})"}[word]
                    if guard in rest and not guarded:
                        guarded, condition = True, None
                    stack.append(condition)
                elif not stack:
                    problem(self.name, index + 1, f"#{word} without #if")
                elif word == "endif":
                    stack.pop()
                elif word == "else":
                    stack[-1] = stack[-1] and f"!{stack[-1]}"
                else:
                    stack[-1] = f"(!{stack[-1]} && ({rest}))"
                continue
            found = INCLUDE_LINE.match(line)
            if not found:
                continue
            conditions = frozenset(c for c in stack if c)
            if found[1] and found[1].startswith("cotenant/"):
                self.own.append((index, found[1], conditions))
            elif found[1]:
                problem(self.name, index + 1, f'#include "{found[1]}": write the path from include/, as "cotenant/…"')
            elif found[2].startswith("cotenant/"):
                problem(self.name, index + 1, f'#include <{found[2]}>: write "{found[2]}", which marks it as part of this library')
            else:
                self.system.append((index, found[2], conditions))
        if stack:
            problem(self.name, len(self.lines), "an #if is never closed")
        only_includes = all(not l.strip() or l.lstrip().startswith(("//", "#")) for l in self.lines)
        if is_inl(self.name):
            toggle = f"#if defined({guard}) == defined(HWY_TARGET_TOGGLE)"
            if toggle not in self.lines:
                problem(self.name, 1, f"compiled once per CPU target, so its guard toggles: begin with '{toggle}'")
        elif not guarded and not only_includes:
            problem(self.name, 1, f"no guard: begin with #ifndef {guard}")
        elif guarded and not any(re.match(rf"^\s*#\s*define\s+{guard}\s*$", l) for l in self.lines):
            problem(self.name, 1, f"the guard {guard} is tested but never defined")
        if not self.lines or not self.lines[0].startswith("//"):
            problem(self.name, 1, "the first line is a comment that says what the file gives its reader")


def floor_of(name):
    parts = name.split("/")
    if len(parts) == 2:
        return TOP
    if parts[1] not in FLOORS:
        return None
    return FLOORS[parts[1]]


def check_floors(header):
    mine = floor_of(header.name)
    if mine is None:
        problem(header.name, 1, f"folder '{header.name.split('/')[1]}' has no floor: add it to FLOORS in single_include/amalgamate.py")
        return
    folder = header.name.split("/")[1]
    for index, other, _ in header.own:
        if not (INCLUDE / other).exists():
            problem(header.name, index + 1, f'"{other}" does not exist')
            continue
        theirs, their_folder = floor_of(other), other.split("/")[1]
        if theirs is None or folder == their_folder:
            continue
        if theirs > mine:
            problem(header.name, index + 1, f"{folder}/ (floor {mine}) includes {their_folder}/ (floor {theirs}): includes go to the own folder "
                    "or a lower floor; move what both need down, or turn the dependency into a parameter")
        elif theirs == mine and mine not in NEIGHBOURS and mine != TOP:
            problem(header.name, index + 1, f"{folder}/ includes {their_folder}/ on the same floor: never sideways; move what both need to ops/ or below")


def check_cycles(headers):
    state = {}

    def visit(name, path):
        if state.get(name) == "done" or name not in headers:
            return
        if name in path:
            cycle = path[path.index(name):] + [name]
            line = next(i for i, other, _ in headers[cycle[-2]].own if other == name) + 1
            problem(cycle[-2], line, "cyclic include: " + " -> ".join(cycle) + "; move what both need into a third header")
            return
        for _, other, _ in headers[name].own:
            visit(other, path + [name])
        state[name] = "done"

    for name in sorted(headers):
        visit(name, [])


def reach(headers, root):
    """Under which conditions `root` includes each header: name -> a set of sets, one of which must hold in full."""
    conditions = {root: {frozenset()}}
    pending = [root]
    while pending:
        name = pending.pop()
        for _, other, edge in headers[name].own:
            old = conditions.get(other, set())
            ways = old | {way | edge for way in conditions[name]}
            ways = {way for way in ways if not any(less < way for less in ways)}
            if ways != old:
                conditions[other] = ways
                pending.append(other)
    return conditions


def file_of(lines):
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


class Amalgam:
    def __init__(self, headers):
        self.headers = headers
        self.conditions = reach(headers, UMBRELLA)
        self.system = set()
        self.pasted = set()
        self.before, self.door, self.after = [], [], []
        self.sink = self.before
        self.opened = False

    def text(self):
        self.paste(UMBRELLA)
        out = ["// Generated by single_include/amalgamate.py from include/: edit those headers, not this file.",
               "// SPDX-License-Identifier: Apache-2.0",
               "//",
               "// All of cotenant in one header. Run-time choice of the CPU target includes this file once per target: it must be",
               "// found as <cotenant/cotenant.hpp>, or COTENANT_SELF must name it. With COTENANT_STATIC_DISPATCH it includes nothing of itself.",
               "#ifdef COTENANT_TARGET_PASS",
               "#define COTENANT_TARGET_PASS_FOUND_SELF",
               "#else"]
        # All standard headers come first: none may be opened inside code that is compiled for one CPU target.
        out += [f"#include <{name}>" for name in sorted(self.system)]
        out += self.before + ["#endif  // not a target pass"]
        if self.door:
            out += self.door + ["#ifndef COTENANT_TARGET_PASS"] + self.after + ["#endif  // not a target pass"]
        return file_of(out)

    def opt_in_text(self, name):
        """What `name` needs beyond the umbrella, which is pasted already."""
        self.system, self.before = set(), []
        self.sink = self.before
        self.conditions = reach(self.headers, name)
        self.paste(name)
        out = ["// Generated by single_include/amalgamate.py from include/: edit those headers, not this file.",
               "// SPDX-License-Identifier: Apache-2.0",
               "//",
               f"// {name} in one header, beside the other single header of cotenant, which it includes.",
               "#ifdef COTENANT_SELF",
               "#include COTENANT_SELF",
               "#else",
               f"#include <{UMBRELLA}>",
               "#endif"]
        return file_of(out + [f"#include <{other}>" for other in sorted(self.system)] + self.before)

    def paste(self, name):
        """Appends what `name` includes, then `name` itself."""
        if name in self.pasted:
            return
        self.pasted.add(name)
        header = self.headers[name]
        for other in self.needed(header):
            self.paste(other)
        if header.door:
            if self.opened:
                problem(name, 1, f"a second header includes <{FOREACH}>: Highway opens its targets once per translation unit")
            self.opened = True
            self.sink = self.door
        elif name == UMBRELLA and not self.body(header):
            return
        ways = self.conditions[name]
        conditional = frozenset() not in ways
        if conditional:
            self.sink.append("#if " + " || ".join(sorted("(" + " && ".join(sorted(way)) + ")" for way in ways)))
        self.sink += ["", f"// ---- {name} ----"] + self.body(header)
        if conditional:
            self.sink.append("#endif")
        if header.door:
            self.sink = self.after

    def needed(self, header):
        """Other headers, in the order of inclusion; those of the -inl headers count for the door."""
        for _, other, _ in header.own:
            if is_inl(other):
                if not (header.door or is_inl(header.name)):
                    problem(header.name, 1, f'includes "{other}": only the header with <{FOREACH}> and other -inl headers may')
                elif other not in self.pasted:
                    self.pasted.add(other)
                    yield from self.needed(self.headers[other])
                    self.pasted.discard(other)
            else:
                yield other

    def body(self, header):
        own = {index: other for index, other, _ in header.own}
        system = {index: (other, conditions) for index, other, conditions in header.system}
        lines = []
        for index, line in enumerate(header.lines):
            if index in own:
                if is_inl(own[index]) and own[index] not in self.pasted:
                    self.pasted.add(own[index])
                    lines += ["", f"// ---- {own[index]} ----"] + self.body(self.headers[own[index]])
            elif index in system:
                other, conditions = system[index]
                if other == FOREACH:
                    lines += ["#define COTENANT_TARGET_PASS", line, "#undef COTENANT_TARGET_PASS", *FOUND_SELF]
                elif conditions or other.startswith("hwy/"):
                    lines.append(line)
                else:
                    self.system.add(other)
            elif re.match(r"^\s*#\s*define\s+HWY_TARGET_INCLUDE\b", line):
                lines += SELF
            elif header.name != UMBRELLA or not line.startswith("//"):
                lines.append(line)
        while lines and not lines[0].strip():
            lines.pop(0)
        return lines if any(line.strip() for line in lines) else []


SELF = """#ifdef COTENANT_SELF
#define HWY_TARGET_INCLUDE COTENANT_SELF
#elif defined(COTENANT_STATIC_DISPATCH) || __has_include(<cotenant/cotenant.hpp>)
#define HWY_TARGET_INCLUDE <cotenant/cotenant.hpp>
#else
#error "cotenant.hpp includes itself once per CPU target: add the folder above cotenant/ to the include path, define COTENANT_SELF to a name that finds this file, or define COTENANT_STATIC_DISPATCH"
#endif""".splitlines()

# Another cotenant on the include path would give kernels for one target only, and errors far from their cause.
FOUND_SELF = """#if (HWY_TARGETS & (HWY_TARGETS - 1)) != 0 && !defined(COTENANT_TARGET_PASS_FOUND_SELF)
#error "<cotenant/cotenant.hpp> on the include path is not this single header: define COTENANT_SELF to a name that finds this file"
#endif""".splitlines()


def main(arguments):
    if set(arguments) - {"--check"}:
        sys.exit(__doc__)
    if not (INCLUDE / UMBRELLA).exists():
        sys.exit(f"include/{UMBRELLA} does not exist")
    headers = {path.relative_to(INCLUDE).as_posix(): None for path in sorted(INCLUDE.rglob("*.hpp"))}
    for name in headers:
        headers[name] = Header(name)
    for header in headers.values():
        check_floors(header)
    check_cycles(headers)
    texts = {}
    if not problems:  # a cycle or a missing file would send the paste astray
        amalgam = Amalgam(headers)
        texts[UMBRELLA] = amalgam.text()
        for name in headers:
            if floor_of(name) == TOP and name != UMBRELLA:
                texts[name] = amalgam.opt_in_text(name)
    if problems:
        sys.exit("\n".join(problems + [f"{len(problems)} to mend in include/"]))
    for name, text in texts.items():
        output = OUTPUT / name
        if "--check" in arguments:
            if not output.exists() or output.read_text(encoding="utf-8") != text:
                sys.exit(f"single_include/{name} is stale: run single_include/amalgamate.py and commit what it writes")
        else:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(text, encoding="utf-8")
            print(f"wrote {output.relative_to(ROOT)}: {text.count(chr(10))} lines")


if __name__ == "__main__":
    main(sys.argv[1:])
