#!/usr/bin/env python3
"""Rules for the fault proxy, chosen at random.

    random_faults.py SEED pull|push    prints the rules"""
import json
import random
import sys


def rule_for_pull(chance):
    faults = [{"do": "cut", "bytes": chance.randrange(3_000_000)}, {"do": "close"}, {"do": "flip"},
              {"do": "status", "status": chance.choice([408, 429, 500, 502, 503, 504]), "headers": {"Retry-After": "0"}},
              {"do": "status", "status": chance.choice([403, 404, 416])}, {"do": "ignore-range"}, {"do": "wrong-range"},
              {"do": "one-range"}, {"do": "length", "add": chance.choice([-1000, -1, 1, 1000])},
              {"do": "redirect", "to": "{other}{path}", "status": chance.choice([302, 307])},
              {"do": "redirect", "to": chance.choice(["ftp://x/y", "http://10.255.255.1/x"]), "status": 307}]
    return {"method": "GET", "path": chance.choice(["/v2/$", "/manifests/", "/blobs/", "/blobs/", "/blobs/"])} | chance.choice(faults)


def rule_for_push(chance):
    faults = [{"do": "cut-request", "bytes": chance.randrange(1_500_000)}, {"do": "close"}, {"do": "lose-answer"},
              {"do": "status", "status": chance.choice([408, 429, 500, 502, 503, 504]), "headers": {"Retry-After": "0"}},
              {"do": "status", "status": chance.choice([400, 403, 404, 409, 416])},
              {"do": "location", "to": "{other}"}]
    return {"method": chance.choice(["GET", "HEAD", "POST", "PATCH", "PATCH", "PUT", "PUT"])} | chance.choice(faults)


def main(seed, verb):
    chance = random.Random(f"{seed} {verb}")
    choose = rule_for_pull if verb == "pull" else rule_for_push
    rules = [choose(chance) | {"times": chance.choice([1, 1, 2, 4]), "after": chance.choice([0, 0, 0, 1, 2])}
             for _ in range(chance.randrange(1, 6))]
    if chance.random() < 0.4:
        rules.append({"tokens": {"uses": chance.choice([3, 50]), "user": "ann:s3cret:pw"}})
    print(json.dumps(rules))


main(*sys.argv[1:])
