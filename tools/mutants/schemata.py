# SPDX-License-Identifier: MIT
"""Mutants made mechanically from C++ sources: one rewritten copy of a file holds all of them, each behind a switch.

What is mutated, inside the bodies of functions only:

    relation    < becomes <=, <= becomes <, > becomes >=, >= becomes >, == becomes != and back
    boundary    a number n other than 0 and 1 becomes n + 1
    constant    0 becomes 1, 1 becomes 0, true becomes false and back
    arithmetic  + becomes - and back, += becomes -=, ++ becomes --, and back; * becomes /, / becomes *
    logic       && becomes || and back
    condition   that of an if, a while or a for is negated
    deletion    a statement that calls or assigns and whose value nobody uses is left out
    value       a function returns the default of its type at once: no error, 0, false, nothing; unless it does so anyway

What is left alone: comments, literals of text, what stands between #if and #endif, constant expressions (constexpr variables, if constexpr,
static_assert, template arguments, labels, enumerators), CHECK and DCHECK, statements that only log or trace, conditions
that declare (if (auto x = ...)), unevaluated operands, asm, initialisers of members, and reserve(), which only saves time.

The sources are formatted by clang-format, which this relies on: a binary operator has white space on both sides, the angle
brackets of templates have none before them, and every controlled statement is a block.
"""

import bisect
import dataclasses
import hashlib
import re

TOKEN = re.compile(r"""
    (?P<space>\s+|//[^\n]*|/\*.*?\*/)
  | (?P<preprocessor>\#(?:[^\n\\]|\\.)*(?:\\\n(?:[^\n\\]|\\.)*)*)
  | (?P<text>(?:u8|[uUL])?R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"|(?:u8|[uUL])?"(?:[^"\\\n]|\\.)*"|(?:u8|[uUL])?'(?:[^'\\\n]|\\.)+')
  | (?P<number>\.?\d(?:'?[\w.]|(?<=[eEpP])[+-])*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<mark_>::|->\*|->|\.\.\.|<=>|<<=|<<|<=|>=|==|!=|&&|\|\||\+\+|--|[-+*/%&|^]=|.)
""", re.VERBOSE | re.DOTALL)

RELATIONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*"}
ASSIGNMENTS = {"+=": "-=", "-=": "+=", "++": "--", "--": "++"}
ASSIGN = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<="}
OPEN = {"(": ")", "[": "]", "{": "}"}
CONSTANT_HEADS = {"constexpr", "static_assert", "using", "typedef", "__extension__", "asm", "extern", "friend", "goto", "break",
                  "continue"}
UNEVALUATED = {"sizeof", "alignof", "decltype", "noexcept", "offsetof", "typeid", "requires", "__builtin_offsetof"}
CHECKS = re.compile(r"(?:D?CHECK(?:_\w+)?|ASSERT\w*|log|log_\w*|LOG\w*|NEURON_TRACE\w*)$")


@dataclasses.dataclass
class Token:
    kind: str
    text: str
    start: int
    end: int


@dataclasses.dataclass
class Mutant:
    operator: str
    line: int
    before: str     # what is replaced, as it stands in the source
    after: str      # what stands there instead
    context: str    # the source line
    number: int = 0

    def shown(self):
        return f"{self.operator}: {self.before} -> {self.after}"


@dataclasses.dataclass
class Span:
    """A stretch of the source with alternatives; `shape` says how they are chosen."""
    start: int
    end: int
    shape: str                                     # expression, condition, statement, return
    is_constexpr: bool
    choices: list = dataclasses.field(default_factory=list)  # (mutant, text)


def tokenize(source):
    tokens = []
    for match in TOKEN.finditer(source):
        kind = match.lastgroup
        if kind == "mark":
            kind = "text"
        if kind != "space":
            tokens.append(Token("mark" if kind == "mark_" else kind, match.group(), match.start(), match.end()))
    return tokens


class Rewriter:
    def __init__(self, source):
        self.source = source
        self.hash = hashlib.sha256(source.encode()).hexdigest()[:16]
        self.tokens = tokenize(source)
        self.lines = [0] + [match.end() for match in re.finditer("\n", source)]
        self.match = self.match_brackets()
        self.spans = []
        self.is_constexpr = False
        self.head = (0, 0)      # what stands before the body of the function, or behind the brackets of the lambda

    # -- looking at tokens

    def match_brackets(self):
        match, stack = {}, []
        for index, token in enumerate(self.tokens):
            if token.kind != "mark":
                continue
            if token.text in OPEN:
                stack.append(index)
            elif token.text in OPEN.values():
                if not stack or OPEN[self.tokens[stack[-1]].text] != token.text:
                    raise ValueError(f"line {self.line_of(token.start)}: brackets do not match")
                match[stack.pop()] = index
        return match

    def line_of(self, offset):
        return bisect.bisect_right(self.lines, offset)

    def text(self, index):
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""

    def is_spaced(self, index):
        token = self.tokens[index]
        return self.source[token.start - 1].isspace() and self.source[token.end].isspace()

    def is_template_open(self, index):
        token = self.tokens[index]
        return (token.text == "<" and index > 0 and not self.source[token.start - 1].isspace()
                and self.tokens[index - 1].kind == "name") or (token.text == "<" and self.text(index - 1) == "template")

    def skip_angles(self, index):
        """Behind the > of the < at `index`; the < itself where there is none."""
        depth, at = 0, index
        while at < len(self.tokens):
            text = self.text(at)
            if text in OPEN:
                at = self.match[at]
            elif text == "<" or text == "<<" and not self.is_spaced(at):
                depth += len(text)
            elif text == ">" and not self.is_spaced(at) or text == ">" and depth and not self.is_relation(at):
                depth -= 1
                if depth == 0:
                    return at + 1
            elif text in (";", "&&", "||") and self.is_spaced(min(at, len(self.tokens) - 2)):
                return index + 1
            at += 1
        return index + 1

    def is_relation(self, index):
        token = self.tokens[index]
        return self.source[token.start - 1].isspace()

    def one_line(self, low, high, replace=None):
        """Tokens [low, high) on a line; `replace` maps an index to another text, or to None where it is left out."""
        out, end = [], None
        for index in range(low, high):
            token = self.tokens[index]
            if end is not None and token.start > end:
                out.append(" ")
            text = token.text if replace is None or index not in replace else replace[index]
            out.append(text)
            end = token.end
        return "".join(out)

    def add(self, low, high, shape, changes):
        """`changes`: (operator, token index, before, after, text of the whole stretch)."""
        if not changes:
            return
        span = Span(self.tokens[low].start, self.tokens[high - 1].end, shape, self.is_constexpr)
        for operator, at, before, after, text in changes:
            line = self.line_of(self.tokens[at].start)
            context = self.source[self.lines[line - 1]:].split("\n", 1)[0].strip()
            span.choices.append((Mutant(operator, line, before, after, context), text))
        self.spans.append(span)

    # -- scopes: namespaces and classes

    def scope(self, low, high):
        at = head = low
        while at < high:
            token = self.tokens[at]
            if token.kind == "preprocessor" or token.text == ";":
                at += 1
                head = at
            elif token.text in ("(", "["):
                at = self.match[at] + 1
            elif self.is_template_open(at):
                at = self.skip_angles(at)
            elif token.text == ":" and self.text(at - 1) in ("public", "private", "protected"):
                at += 1
                head = at
            elif token.text == "{":
                end = self.match[at]
                kind = self.kind_of(head, at)
                if kind == "initialiser":
                    at = end + 1
                    continue
                if kind == "scope":
                    self.scope(at + 1, end)
                elif kind != "skip":
                    outer, self.is_constexpr = self.is_constexpr, kind == "constexpr"
                    self.head = (head, at)
                    self.block(at + 1, end)
                    self.is_constexpr = outer
                at = end + 1
                if kind != "scope" or self.text(at) != ";":
                    head = at
            else:
                at += 1

    def kind_of(self, head, brace):
        """What the brace at the end of a head opens: a scope, a function, an initialiser, or what is left alone."""
        words, groups, colon, assigns, at = [], 0, False, False, head
        while at < brace:
            text = self.text(at)
            if self.is_template_open(at):
                at = self.skip_angles(at)
                continue
            if text in ("(", "[") or text == "{":
                groups += text == "("
                at = self.match[at] + 1
                words.append(text)
                continue
            colon = colon or (text == ":" and groups > 0)
            assigns = assigns or (text == "=" and self.text(at - 1) != "operator")
            words.append(text)
            at += 1
        if "namespace" in words or words[:1] == ["extern"]:
            return "scope"
        if "enum" in words or "concept" in words or "consteval" in words:
            return "skip"
        if groups == 0 and {"class", "struct", "union"} & set(words):
            return "scope"
        if {"class", "struct", "union"} & set(words) and not assigns and "operator" not in words and self.is_class(words):
            return "scope"
        if assigns or groups == 0:
            return "initialiser"
        if colon and self.tokens[brace - 1].kind == "name" and words[-1] not in ("const", "noexcept", "override"):
            return "initialiser"
        return "constexpr" if "constexpr" in words else "function"

    @staticmethod
    def is_class(words):
        """alignas(..) and attributes take brackets too."""
        first = min(words.index(word) for word in ("class", "struct", "union") if word in words)
        return all(word in ("template", "alignas", "(", "[", "inline", "static") for word in words[:first]) and \
            not any(word in ("const", "noexcept") for word in words)

    # -- statements

    def end_of_statement(self, at, high):
        while at < high and self.text(at) != ";":
            at = self.match[at] + 1 if self.text(at) in OPEN else at + 1
        return at

    def block(self, low, high):
        at = low
        while at < high:
            token = self.tokens[at]
            word = token.text
            if token.kind == "preprocessor":
                at = self.behind_conditional(at, high)
            elif word in (";", "else", "do", "try"):
                at += 1
            elif word == "{":
                self.block(at + 1, self.match[at])
                at = self.match[at] + 1
            elif word == "[" and self.text(at + 1) == "[":
                at = self.match[at] + 1
            elif word in ("case", "default"):
                while self.text(at) != ":":
                    at = self.match[at] + 1 if self.text(at) in OPEN else at + 1
                at += 1
            elif word in ("if", "while", "switch", "for"):
                at = self.controlled(at)
            elif word in ("struct", "class", "enum", "union"):
                at = self.end_of_statement(at, high) + 1
            else:
                end = self.end_of_statement(at, high)
                self.statement(at, end)
                at = end + 1

    def behind_conditional(self, at, high):
        """Whether what stands between #if and #endif is compiled is not known here."""
        depth = 0
        while at < high:
            if self.tokens[at].kind == "preprocessor":
                directive = self.text(at)[1:].lstrip()
                depth += directive.startswith("if") - directive.startswith("endif")
            at += 1
            if depth <= 0:
                return at
        return at

    def controlled(self, at):
        word, at = self.text(at), at + 1
        is_constant = self.text(at) in ("constexpr", "consteval", "!")
        while self.text(at) not in ("(", "{"):
            at += 1
        if self.text(at) == "{":
            return at
        low, high = at + 1, self.match[at]
        if any(self.text(i) == "trace" and self.text(i + 1) == "::" for i in range(low, high)):
            return self.match[high + 1] + 1 if self.text(high + 1) == "{" else high + 1
        if is_constant:
            return high + 1
        parts = self.split(low, high, ";")
        if word == "for" and len(parts) == 1:      # range
            return high + 1
        for part in parts[:1 if word == "for" else -1]:
            self.statement(*part, is_whole=False)
        condition = parts[1] if word == "for" else parts[-1]
        if condition[0] >= condition[1]:
            return high + 1
        if word == "switch":
            self.expression(*condition)
        elif self.assignment(*condition) is not None:
            self.expression(self.assignment(*condition) + 1, condition[1])
        else:
            self.expression(*condition, is_condition=True)
        return high + 1

    def split(self, low, high, separator):
        parts, start, at = [], low, low
        while at < high:
            if self.text(at) in OPEN:
                at = self.match[at]
            elif self.is_template_open(at):
                at = self.skip_angles(at) - 1
            elif self.text(at) == separator:
                parts.append((start, at))
                start = at + 1
            at += 1
        return parts + [(start, high)]

    def assignment(self, low, high):
        """The first assignment outside of brackets."""
        at = low
        while at < high:
            if self.text(at) in OPEN:
                at = self.match[at]
            elif self.is_template_open(at):
                at = self.skip_angles(at) - 1
            elif self.tokens[at].kind == "mark" and self.text(at) in ASSIGN:
                return at
            at += 1
        return None

    def is_declaration(self, low, high):
        at = low
        if self.text(at) in ("const", "auto", "static", "volatile", "thread_local", "struct", "unsigned", "typename"):
            return True
        if self.tokens[at].kind != "name" and self.text(at) != "::":
            return False
        while at < high:
            if self.text(at) == "::":
                at += 1
            if self.tokens[at].kind != "name":
                return False
            at += 1
            if at < high and self.is_template_open(at):
                at = self.skip_angles(at)
            if at >= high or self.text(at) != "::":
                break
        while at < high and self.text(at) in ("*", "&", "&&", "const"):
            at += 1
        return at < high and self.tokens[at].kind == "name" and (at + 1 >= high or self.text(at + 1) in "={[(,")

    def statement(self, low, high, is_whole=True):
        """[low, high) without its semicolon."""
        if low >= high:
            return
        words = [self.text(i) for i in range(low, high)]
        if words[0] in CONSTANT_HEADS or "constexpr" in words[:3] or CHECKS.match(words[0]):
            return
        if "::" in words and "trace" in words[:3] or words[:2] == ["(", "void"]:
            return
        if words[0] == "return":
            if high > low + 1:
                self.expression(low + 1, high)
                self.add(low, high, "return", self.returned(low, high))
            return
        if self.is_declaration(low, high):
            equal = self.assignment(low, high)
            if equal is not None:
                self.expression(equal + 1, high)
            else:
                at = low
                while at < high:
                    if self.is_template_open(at):
                        at = self.skip_angles(at)
                    elif self.text(at) in ("{", "("):
                        self.arguments(at)
                        at = self.match[at] + 1
                    else:
                        at += 1
            return
        if "<<" in words and any(self.tokens[i].kind == "text" for i in range(low, high)) and "=" not in words:
            return  # composes a message
        changes = []
        for i in range(low, high):
            if i == low or i == high - 1 or self.text(i) in ("+=", "-="):
                other = ASSIGNMENTS.get(self.text(i))
                if other and self.depth_zero(low, i):
                    changes.append(("arithmetic", i, self.text(i), other, self.one_line(low, high, {i: other}) + ";"))
        equal = self.assignment(low, high)
        if is_whole and (equal is not None or self.text(high - 1) == ")" or changes) and "reserve" not in words:
            whole = self.one_line(low, high)
            changes.append(("deletion", low, whole + ";", "nothing", ";"))
        if is_whole and self.text(high) == ";":
            self.add(low, high + 1, "statement", changes)
        if equal is not None:
            self.expression(low, equal)
            self.expression(equal + 1, high)
        else:
            self.expression(low, high, is_operand=False)

    def depth_zero(self, low, at):
        i = low
        while i < at:
            i = self.match[i] + 1 if self.text(i) in OPEN else i + 1
        return i == at

    def returned(self, low, high):
        words = [self.text(i) for i in range(low + 1, high)]
        whole = self.one_line(low, high)
        if words in (["{", "}"], ["0"], ["false"], ["nullptr"], ["true"]) or words[-1] in ("nullopt",) or \
                words in (["*", "this"],) or words[-2:] == ["{", "}"] and self.returns(words[:-2]):
            return []
        return [("value", low, whole + ";", "return {};", "return {};")]

    def returns(self, type_words):
        """Whether the function around here returns just this type, as written: return T{}; is return {}; then."""
        words, size = [self.text(i) for i in range(*self.head)], len(type_words)
        behind = words.index("->") + 1 if "->" in words else None
        if behind is not None:
            return words[behind:] == type_words
        before = words[:words.index("(")] if "(" in words else []
        return any(before[at:at + size] == type_words and re.match(r"[A-Za-z_]", before[at + size]) and
                   (at == 0 or before[at - 1] not in ("<", ","))
                   for at in range(len(before) - size))

    # -- expressions

    def arguments(self, opening):
        low, high = opening + 1, self.match[opening]
        for start, end in self.split(low, high, ","):
            if self.text(start) == "." and self.tokens[start + 1].kind == "name" and self.text(start + 2) in ("=", "{"):
                if self.text(start + 2) == "{":
                    self.arguments(start + 2)
                else:
                    self.expression(start + 3, end)
            else:
                self.expression(start, end)

    def is_lambda(self, at):
        before = self.tokens[at - 1]
        return self.text(at) == "[" and before.kind not in ("name", "number", "text") and before.text not in (")", "]") or \
            self.text(at) == "[" and before.text == "return"

    def expression(self, low, high, is_condition=False, is_operand=True):
        """The operators outside of brackets become choices of this stretch; what is in brackets is looked at by itself."""
        if low >= high:
            return
        equal = self.assignment(low, high) if is_operand else None
        if equal is not None:       # an assignment whose value is used
            self.expression(equal + 1, high)
            return
        changes, at = [], low
        while at < high:
            token = self.tokens[at]
            if token.text in UNEVALUATED or CHECKS.match(token.text) and self.text(at + 1) == "(":
                at += 1
                while at < high and self.text(at) not in ("(", "{"):
                    at += 1
                at = self.match[at] + 1 if at < high else at
            elif self.is_lambda(at):
                at = self.lambda_(self.match[at] + 1, high)
            elif token.text in OPEN:
                self.arguments(at)
                at = self.match[at] + 1
            elif self.is_template_open(at):
                at = self.skip_angles(at)
            else:
                changes += self.changes(at, low, high)
                at += 1
        if is_condition:
            whole = self.one_line(low, high)
            changes.append(("condition", low, whole, f"!({whole})", f"!({whole})"))
        if changes and (is_operand or is_condition):
            self.add(low, high, "condition" if is_condition else "expression", changes)

    def lambda_(self, at, high):
        first = at
        while at < high and self.text(at) != "{":
            at = self.match[at] + 1 if self.text(at) in ("(", "[") else at + 1
        if at < high:
            outer, self.head = self.head, (first, at)
            self.block(at + 1, self.match[at])
            self.head = outer
            return self.match[at] + 1
        return at

    def changes(self, at, low, high):
        token, found = self.tokens[at], []
        if token.kind == "mark" and low < at < high - 1 and self.is_spaced(at):
            if token.text in RELATIONS:
                found.append(("relation", RELATIONS[token.text]))
            elif token.text in ("&&", "||"):
                found.append(("logic", "||" if token.text == "&&" else "&&"))
            elif token.text in ARITHMETIC:
                found.append(("arithmetic", ARITHMETIC[token.text]))
        elif token.kind == "name" and token.text in ("true", "false"):
            found.append(("constant", "false" if token.text == "true" else "true"))
        elif token.kind == "number":
            digits = re.match(r"(0[xX][\da-fA-F']+|0[bB][01']+|\d[\d']*)([uUlLzZ]*)$", token.text)
            if digits:
                value = int(digits[1].replace("'", ""), 0) if digits[1].strip("0'") else 0
                if value in (0, 1):
                    found.append(("constant", f"{1 - value}{digits[2]}"))
                else:
                    found.append(("boundary", f"{value + 1}{digits[2]}"))
        whole = "" if not found else self.one_line(low, high)
        out = []
        for operator, other in found:
            text = self.one_line(low, high, {at: other})
            out.append((operator, at, *shortened(whole, text), text))
        return out

    # -- the rewritten source

    def mutants(self):
        """In the order of the source."""
        self.scope(0, len(self.tokens))
        self.spans.sort(key=lambda span: (span.start, -span.end))
        return [mutant for span in self.spans for mutant, _ in span.choices]

    def render(self, is_in):
        """The source with a switch for each mutant that is_in() lets in. Call mutants() before."""
        spans = [(span, [choice for choice in span.choices if is_in(choice[0])]) for span in self.spans]
        return self.stretch(0, len(self.source), [entry for entry in spans if entry[1]])

    def stretch(self, start, end, spans):
        out, position = [], start
        while spans:
            span, choices = spans[0]
            inner = []
            rest = spans[1:]
            while rest and rest[0][0].start < span.end:
                if rest[0][0].end > span.end:
                    raise ValueError(f"line {self.line_of(rest[0][0].start)}: stretches overlap")
                inner.append(rest.pop(0))
            out += [self.source[position:span.start], self.switch(span, choices, self.stretch(span.start, span.end, inner))]
            position, spans = span.end, rest
        return "".join(out) + self.source[position:end]

    @staticmethod
    def switch(span, choices, original):
        """A mutant per line, so that a message of the compiler about a line is one about a mutant."""
        test = "neuron_score_is" if span.is_constexpr else "neuron_score_on"
        if span.shape in ("expression", "condition"):
            kept = f"static_cast<bool>({original})" if span.shape == "condition" else f"({original})"
            alternatives = "".join(
                f"\n{test}({mutant.number}) ? " +
                (f"static_cast<bool>({text}) :" if span.shape == "condition" else f"({text}) :") for mutant, text in choices)
            return f"({alternatives}\n{kept}\n)"
        if span.shape == "return":
            first = "".join(f"\nif ({test}({mutant.number})) {{ {text} }}" for mutant, text in choices)
            return f"{first}\n{original}"
        first = "".join(f"\nif ({test}({mutant.number})) {{ {text} }} else" for mutant, text in choices)
        return f"{first} {{\n{original}\n}}"


def shortened(before, after, around=24):
    """Both texts near where they differ."""
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    low, tail = max(0, start - around), max(0, end - around)
    return before[low:len(before) - tail], after[low:len(after) - tail]
