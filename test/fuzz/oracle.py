"""Which errors may a statement raise?  Those that the comments of domev's functions name, and those of sqlstates.tsv; XX000 is in none."""

import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
CODE = re.compile(r"\b(?=[A-Z]*[0-9])[0-9A-Z]{5}\b")


def read_table():
    """{scope: {sqlstate}}"""
    scopes = {}
    with open(os.path.join(HERE, "sqlstates.tsv"), encoding="utf-8") as file:
        for line in file:
            if line.startswith("#") or not line.strip():
                continue
            sqlstate, scope, _reason = line.rstrip("\n").split("\t")
            scopes.setdefault(scope, set()).add(sqlstate)
    return scopes


class Oracle:
    def __init__(self, functions):
        self.scopes = read_table()
        self.comments = {}  # by signature
        self.names = {}     # a name's signatures
        for function in functions:
            self.comments[function.signature] = function.comment
            self.names.setdefault(function.name, []).append(function.signature)
        self.known = {signature: self._read(signature, set()) for signature in self.comments}

    def _read(self, signature, seen):
        """The codes of a comment, and of the comments that it refers to; "mapping" in it: and what mappings raise."""
        if signature in seen:
            return set()
        seen.add(signature)
        comment = self.comments[signature]
        raises = comment.partition("raises")[2] if "the same" not in comment else comment
        codes = set(CODE.findall(raises))
        for name in re.findall(r"what (?:domev\.)?(\w+) raises", comment) + re.findall(r"^as domev\.(\w+)\(", comment):
            for other in self.names.get(name, ()):
                codes |= self._read(other, seen)
        if re.search(r"what (?:its|the) mappings raise", comment):
            codes.add("mapping")
        if "what PostgreSQL raises for a condition" in comment:
            codes.add("condition")
        return codes

    def accepts(self, statement, sqlstate, is_superuser, raised_alone):
        """raised_alone: a function that says which error the statement's arguments raise by themselves."""
        scopes = set(statement.scopes) | {"transaction"} | (set() if is_superuser else {"role"})
        codes = set()
        for signature in statement.about:
            codes |= self.known[signature]
        scopes |= {"mapping", "condition"} & codes
        if sqlstate in codes or any(sqlstate in self.scopes.get(scope, ()) for scope in scopes):
            return True
        return sqlstate in self.scopes["conversion"] and bool(statement.arguments) and sqlstate in raised_alone()
