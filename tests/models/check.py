#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Promela models of protocols that must come to an end, checked by spin.

    check.py MODEL.pml... [--build DIR]

A model is checked once for each of its ltl formulas, with weak fairness: who can go on does so in the end. Then every
defect it declares (`#define name (mutant == N)`) is switched on: at least one formula must be refuted. Exit status 1
when a formula does not hold, a search was cut short or a defect is not found.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile


def check(pan, directory, formula, mutant):
    """(holds, states); a search that is not complete is an error."""
    done = subprocess.run([pan, "-a", "-f", "-m200000", "-N", formula], cwd=directory, capture_output=True, text=True,
                          env=dict(os.environ, MUTANT=str(mutant)), timeout=300)
    errors = re.search(r"errors: (\d+)", done.stdout)
    states = re.search(r"(\d+) states, stored", done.stdout)
    if not errors or "max search depth too small" in done.stdout or "out of memory" in done.stdout:
        sys.exit(f"check.py: {formula}: the search did not end\n{done.stdout}{done.stderr}")
    return errors.group(1) == "0", int(states.group(1)) if states else 0


def check_model(path, build):
    text = path.read_text()
    formulas = re.findall(r"^ltl (\w+)", text, re.M)
    defects = [(int(number), name) for name, number in re.findall(r"^#define (\w+)\s+\(mutant == (\d+)\)", text, re.M)]
    if not formulas or not defects:
        sys.exit(f"check.py: {path}: no formulas or no defects")
    directory = build / path.stem
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(["spin", "-a", path.resolve()], cwd=directory, check=True, stdout=subprocess.DEVNULL)
    # Formulas are over globals; DNFAIR: more processes than two need more fairness counters.
    subprocess.run(["cc", "-O1", "-w", "-DNFAIR=4", "-o", "pan", "pan.c"], cwd=directory, check=True)
    pan = directory.resolve() / "pan"
    good = True
    for formula in formulas:
        holds, states = check(pan, directory, formula, 0)
        good &= holds
        print(f"{'holds  ' if holds else 'REFUTED'} {path.stem}.{formula} ({states} states)", flush=True)
    for number, name in defects:
        found = next((formula for formula in formulas if not check(pan, directory, formula, number)[0]), None)
        good &= found is not None
        print(f"{'found   by ' + found if found else 'MISSED '} {path.stem}: {name}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=pathlib.Path)
    parser.add_argument("--build", type=pathlib.Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        results = [check_model(model, args.build or pathlib.Path(scratch)) for model in args.models]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
